"""``kexplore search``: functions by a few letters, and by what they are."""

from __future__ import annotations

import argparse
import asyncio
import json

from explorer.commands.connection import narrate, session
from explorer.errors import ExitCode, UsageError
from explorer.session.finding import asks_for_armed, find
from explorer.session.loading import Stage
from symbols.errors import Category, KexploreError
from symbols.query import Query, parse

_STAGES = frozenset({Stage.NAMES, Stage.LISTS, Stage.SEARCH})


def run(options: argparse.Namespace) -> int:
    """Print the best matches, best first; FAILED when there are none.

    Raises:
        UsageError: A term of the query is not understood.
        KexploreError: The session cannot be had, or what a term asks about.
    """
    text = " ".join(options.query)
    query = parse(text)
    for problem in query.problems:
        raise UsageError(f"{text}: at letter {problem.at + 1}: {problem.message}", problem.hint)
    if asks_for_armed(text):
        raise UsageError(
            "is:armed is about the probes of a running session", "it can be asked in the full-screen program"
        )
    return asyncio.run(_run(text, query, options.limit, options.json, options.kernel))


async def _run(text: str, query: Query, limit: int, as_json: bool, snapshot: str | None) -> int:
    of_types = any(term.of_types for term in query.terms)
    async with session(_STAGES | {Stage.PROTOTYPES} if of_types else _STAGES, snapshot=snapshot) as current:
        assert current.catalog is not None
        assert current.loading.functions is not None
        if of_types:
            current.loading.functions.add_types()
        if any(term.of_verdicts for term in query.terms):
            current.loading.functions.add_verdicts()
        found = find(current, text, limit)
        if not found.complete:
            raise KexploreError(found.notes[0], "", Category.KERNEL_CANNOT)
        for note in found.notes:
            narrate(note)
        for row in found.rows:
            symbol = current.catalog.symbol(current.catalog.rows[row])
            verdict = current.catalog.verdict(symbol)
            if as_json:
                where = {"name": symbol.name, "module": symbol.module, "address": symbol.address}
                print(json.dumps({**where, "verdict": verdict.to_json()}))
            else:
                address = "-" * 16 if symbol.address is None else f"{symbol.address:016x}"
                module = f" [{symbol.module}]" if symbol.module else ""
                print(f"{address}  {symbol.name}{module}  {verdict.kind.value}")
        if not found.rows:
            narrate(f"nothing matches {text!r}")
            return ExitCode.FAILED
        if len(found.rows) < found.total:
            narrate(f"{len(found.rows):,} of {found.total:,}{' or more' if found.at_least else ''}; --limit N shows N")
        return ExitCode.OK
