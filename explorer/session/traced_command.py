"""A command run from the program: its process tree alone is recorded, its output kept for showing."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import re
import shlex
import signal
from collections.abc import Callable

from explorer.errors import UsageError
from explorer.session.running_command import RunningCommand
from explorer.session.session import Session
from explorer.session.values import printable

_SHELL_WORDS = re.compile(r"[|&;<>()$`*?\[\]#~=%\n{}!]")
"""What only a shell understands; without it there is no shell in between, and none of its calls are recorded."""
_MOST_LINES = 5000
_LONGEST_LINE = 1000
_GRACE = 2.0
"""Seconds between asking a command to end and ending it."""


def arguments_of(line: str) -> list[str]:
    """A command line as arguments, run by a shell where it asks for one.

    Raises:
        UsageError: It is empty, or its quotes do not match.
    """
    if _SHELL_WORDS.search(line):
        return ["/bin/sh", "-c", line]
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{line!r} is no command line: {error}") from None
    if not words:
        raise UsageError("there is no command", "for instance: cat /etc/passwd")
    return words


class TracedCommand:
    """One run of a command.

    Args:
        session: Its probes see the command and all that it starts, and nobody else, until ``Session.focus`` is called
            again.
        line: The command line.
        changed: Called when there is more output, and when it ended.

    Attributes:
        line: The command line.
        output: The newest lines of its output, harmless on a terminal.
        dropped: How many older ones were let go.
        code: Its exit code as a shell gives it; None while it runs, and for ever when its kernel was lost.
        over: Whether all that it started has ended too.
    """

    def __init__(self, session: Session, line: str, changed: Callable[[], None]) -> None:
        self.line = line
        self.output: collections.deque[str] = collections.deque(maxlen=_MOST_LINES)
        self.dropped = 0
        self.code: int | None = None
        self.over = False
        self._session = session
        self._changed = changed
        self._command: RunningCommand | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._asked_to_end = self._closed = False

    async def start(self) -> None:
        """Run it, from its first instruction under the probes.

        Raises:
            KexploreError: No command can be run on the kernel that is looked at, or not this one.
        """
        argv = arguments_of(self.line)
        command = await self._session.target.run(argv)
        try:
            if not self._closed:
                await self._session.focus([command.pid])
        except BaseException:
            command.abandon()
            raise
        if self._closed:
            command.abandon()
            return
        self._command = command
        command.open_gate()
        self._tasks = [
            asyncio.create_task(self._read(command.output), name=f"output of {argv[0]}"),
            asyncio.create_task(self._wait(command), name=f"end of {argv[0]}"),
        ]

    def stop(self) -> None:
        """Ask it to end (SIGTERM to its process group); the second time, end it (SIGKILL)."""
        if self._command is not None and not self.over:
            self._command.send(signal.SIGKILL if self._asked_to_end else signal.SIGTERM)
            self._asked_to_end = True

    async def close(self) -> None:
        """End it, for nobody will see what it does: ask first, then make sure."""
        self._closed = True  # a start that is under way comes to nothing
        if self._command is None:
            return
        if not self.over:
            self.stop()
            await asyncio.wait(self._tasks[1:], timeout=_GRACE)
        if not self.over:
            self.stop()
            await asyncio.wait(self._tasks[1:], timeout=_GRACE)  # what left the group lives on: it meant to
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _read(self, reader: asyncio.StreamReader) -> None:
        pending = b""
        while data := await reader.read(1 << 15):
            *lines, pending = (pending + data).split(b"\n")
            if len(pending) > _LONGEST_LINE:
                lines, pending = [*lines, pending], b""
            self._take(lines)
        if pending:
            self._take([pending])

    def _take(self, lines: list[bytes]) -> None:
        self.dropped += max(0, len(self.output) + len(lines) - _MOST_LINES)
        for line in lines:
            text = line.removesuffix(b"\r").decode("utf-8", "surrogateescape").expandtabs(8)
            self.output.append(printable(text[:_LONGEST_LINE]))
        self._changed()

    async def _wait(self, command: RunningCommand) -> None:
        self.code = await command.ended()
        self._changed()
        await command.gone()
        self.over = True
        self._changed()
