"""Search as it is typed: runs off the event loop, and only the newest query matters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from explorer.session.finding import Found, armed_rows, find
from explorer.session.session import Session

LIMIT = 500
"""Matches worth listing: nobody scrolls further, a letter more is quicker."""


class LiveSearch:
    """Searches for one query at a time; a newer one stops the older.

    Args:
        found: Called on the event loop with the results of the newest query.
    """

    def __init__(self, found: Callable[[Found], None]) -> None:
        self._found = found
        self._wanted: tuple[Session, str] | None = None
        self._generation = 0
        self._task: asyncio.Task[None] | None = None

    def ask(self, session: Session, query: str) -> None:
        """Search for ``query``; results of what was asked before are not delivered any more."""
        self._generation += 1
        self._wanted = (session, query)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="search")

    def stop(self) -> None:
        """Deliver nothing any more."""
        self._generation += 1
        self._wanted = None

    async def _run(self) -> None:
        while self._wanted is not None:
            (session, query), self._wanted = self._wanted, None
            generation = self._generation
            armed = armed_rows(session, query)
            found = await asyncio.to_thread(find, session, query, LIMIT, armed, partial(self._stale, generation))
            if generation == self._generation:
                self._found(found)

    def _stale(self, generation: int) -> bool:
        return self._generation != generation
