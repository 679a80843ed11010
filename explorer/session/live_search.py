"""Search as it is typed: runs off the event loop, and only the newest query matters."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence

from explorer.session.session import Session
from symbols.families import together

LIMIT = 500
"""Matches worth listing: nobody scrolls further, a letter more is quicker."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What a query found.

    Attributes:
        query: What was asked.
        rows: Positions in ``Catalog.rows``, best first, at most ``LIMIT``.
        total: How many match.
        at_least: Whether ``total`` is only a lower bound.
        approximate: Whether typos had to be tolerated.
        complete: Whether the search index was there; without it only plain occurrences are found.
    """

    query: str
    rows: Sequence[int]
    total: int
    at_least: bool
    approximate: bool
    complete: bool


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
            found = await asyncio.to_thread(self._search, session, query, generation)
            if generation == self._generation:
                self._found(found)

    def _search(self, session: Session, query: str, generation: int) -> Found:
        index, catalog = session.search, session.catalog
        if index is not None and catalog is not None:
            result = index.search(query, LIMIT, lambda: self._generation != generation)
            return Found(
                query,
                together(catalog.names, result.rows),
                result.total,
                not result.exhaustive,
                result.approximate,
                True,
            )
        if catalog is None:
            return Found(query, (), 0, False, False, False)
        plain = query.strip().lower()
        rows = [row for row, name in enumerate(catalog.names) if plain in name]
        rows.sort(key=lambda row: (not catalog.names[row].startswith(plain), len(catalog.names[row])))
        return Found(query, rows[:LIMIT], len(rows), False, False, False)
