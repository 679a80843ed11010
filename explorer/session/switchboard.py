"""Which kernel is looked at, and changing over to another while the old one stays until the new one answers."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator

from explorer.session.session import Session
from explorer.session.target import Target
from explorer.session.time_limit import TimeLimit
from symbols.errors import KexploreError


@dataclasses.dataclass(slots=True)
class Attempt:
    """Reaching a target: what it said on the way, and how it ended.

    Attributes:
        lines: Steps so far, with the seconds since the start at which each began.
        error: Why it failed; None while it is under way and when it was cancelled.
        running: Whether it is under way.
    """

    target: Target
    began: float
    lines: list[tuple[float, str]] = dataclasses.field(default_factory=list)
    error: KexploreError | None = None
    running: bool = True


class Switchboard:
    """Holds the session that is shown.

    Args:
        changed: Called when ``attempt`` moved on.
        switched: Called when ``session`` became another; load it.
        limit: How long anything may stay armed, on whatever target; None: no limit.
        engine: What arms probes there.

    Attributes:
        session: The session that is shown; None before the first target answered.
        attempt: The last attempt to reach a target.
        left_behind: What sessions closed so far could not remove.
        deleting: How many disabled definitions their agents go on to delete.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        switched: Callable[[Session], None],
        limit: TimeLimit | None = None,
        engine: str = "auto",
    ) -> None:
        self._changed = changed
        self._switched = switched
        self._limit = limit
        self._engine = engine
        self._task: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self.session: Session | None = None
        self.attempt: Attempt | None = None
        self.left_behind: list[str] = []
        self.deleting = 0

    def start(self, target: Target, terminal: Callable[[], contextlib.AbstractContextManager[object]]) -> None:
        """Begin to reach a target; what is shown stays until it answers.

        Args:
            target: The kernel.
            terminal: Lends the terminal to a target that has to ask for a password.
        """
        self.cancel()
        self._task = asyncio.create_task(self._reach(target, terminal), name=f"reaching {target.title}")

    def cancel(self) -> None:
        """Give up the attempt under way, if there is one."""
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> list[str]:
        """Disarm everything and leave all targets.

        Returns:
            What could not be removed; empty when nothing is left behind.
        """
        self.cancel()
        if self._task is not None:
            await asyncio.wait([self._task])
        if self.session is not None:
            self._retire(self.session)
        while self._closing:
            await asyncio.wait(set(self._closing))
        return self.left_behind

    async def _reach(self, target: Target, terminal: Callable[[], contextlib.AbstractContextManager[object]]) -> None:
        attempt = self.attempt = Attempt(target, time.monotonic())
        old = self.session
        session = Session(target)
        session.limit = self._limit
        session.arming.planning.engine = self._engine
        with self._told(attempt):
            if old is not None and old.target is target:  # the same again: its agent is gone or to be started afresh
                self._retire(old)
                await asyncio.wait(set(self._closing))
            try:
                with terminal() if target.needs_terminal else contextlib.nullcontext():
                    await session.open(lambda line: self._progress(attempt, line))
            except BaseException:
                await session.close()
                raise
            self.session = session
            if old is not None and old.target is not target:
                self._retire(old)
        if attempt.error is None and self.session is session:
            self._switched(session)

    @contextlib.contextmanager
    def _told(self, attempt: Attempt) -> Iterator[None]:
        self._changed()
        try:
            yield
        except KexploreError as error:
            attempt.error = error
        finally:
            attempt.running = False
            self._changed()

    def _progress(self, attempt: Attempt, line: str) -> None:
        attempt.lines.append((time.monotonic() - attempt.began, line))
        self._changed()

    def _retire(self, session: Session) -> None:
        task = asyncio.create_task(self._close(session), name=f"leaving {session.target.title}")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, session: Session) -> None:
        try:
            self.left_behind += await session.close()
            self.deleting += session.deleting
        except KexploreError as error:
            self.left_behind.append(f"what was armed on {session.target.title} ({error.message})")
