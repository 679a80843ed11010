"""What a query finds in a session: the words by the search index, the terms by the function index."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence

from explorer.session.probe import ProbeState
from explorer.session.session import Session
from symbols.errors import KexploreError
from symbols.families import together
from symbols.query import Problem, Property, Query, parse

_WAIT = "names are being indexed…"


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What a query found.

    Attributes:
        query: What was asked.
        words: The part of it that names were searched for.
        rows: Positions in ``Catalog.rows``, best first, at most as many as were asked for.
        total: How many match.
        at_least: Whether ``total`` is only a lower bound.
        approximate: Whether typos had to be tolerated.
        complete: Whether everything was there to answer it; without the index only plain occurrences are found.
        notes: What to know of the answer; one line each.
        problems: What could not be understood; it was left out of the question.
    """

    query: str
    words: str = ""
    rows: Sequence[int] = ()
    total: int = 0
    at_least: bool = False
    approximate: bool = False
    complete: bool = True
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def find(
    session: Session,
    text: str,
    limit: int,
    armed: Collection[int] = (),
    cancelled: Callable[[], bool] = lambda: False,
) -> Found:
    """Answer a query; a worker's job.

    Args:
        session: With its names loaded, at least.
        text: The query, see ``symbols.query``.
        limit: How many rows to return at most.
        armed: See ``armed_rows``.
        cancelled: As for ``SearchIndex.search``.
    """
    query = parse(text)
    catalog, index, functions = session.catalog, session.search, session.loading.functions
    if catalog is None or index is None or functions is None:
        return _without_index(session, text, query, limit)
    among, notes = None, tuple[str, ...]()
    if query.terms:
        selection = functions.select(query.terms, armed)
        among, notes = selection.places, selection.notes
        if among is None:
            return Found(text, query.words, complete=False, notes=notes, problems=query.problems)
    result = index.search(query.words, limit, cancelled, among)
    rows = together(catalog.names, result.rows)
    return Found(
        text, query.words, rows, result.total, not result.exhaustive, result.approximate,
        notes=notes, problems=query.problems,
    )  # fmt: skip


def asks_for_armed(text: str) -> bool:
    """Whether a query's answer changes with each probe that is armed or disarmed."""
    return parse(text).asks(Property.ARMED)


def armed_rows(session: Session, text: str) -> frozenset[int]:
    """The rows of the catalog's table with a probe on them, if a query asks for these; on the event loop."""
    if not asks_for_armed(text):
        return frozenset()
    rows = set()
    for spec, probe in session.probes.items():
        if probe.state is ProbeState.ARMED:
            try:
                symbol = session.resolve(spec)
            except KexploreError:
                continue  # its name is not in the list any more: it cannot be listed
            if symbol is not None:
                rows.add(symbol.index)
    return frozenset(rows)


def _without_index(session: Session, text: str, query: Query, limit: int) -> Found:
    """Plain occurrences, while the index is being built."""
    catalog = session.catalog
    if catalog is None or query.terms:
        return Found(text, query.words, complete=False, notes=(_WAIT,), problems=query.problems)
    plain = query.words.lower()
    rows = [row for row, name in enumerate(catalog.names) if plain in name]
    rows.sort(key=lambda row: (not catalog.names[row].startswith(plain), len(catalog.names[row])))
    return Found(text, query.words, rows[:limit], len(rows), complete=False, problems=query.problems)
