"""``kexplore search``: functions by a few letters."""

from __future__ import annotations

import argparse
import asyncio
import json

from explorer.commands.connection import narrate, session
from explorer.errors import ExitCode
from explorer.session.loading import Stage

_STAGES = frozenset({Stage.NAMES, Stage.LISTS, Stage.SEARCH})


def run(options: argparse.Namespace) -> int:
    """Print the best matches, best first; FAILED when there are none."""
    return asyncio.run(_run(" ".join(options.query), options.limit, options.json, options.kernel))


async def _run(query: str, limit: int, as_json: bool, snapshot: str | None) -> int:
    async with session(_STAGES, snapshot=snapshot) as current:
        assert current.catalog is not None
        assert current.search is not None
        result = current.search.search(query, limit)
        symbols = [current.catalog.symbol(current.catalog.rows[row]) for row in result.rows]
        for symbol in symbols:
            verdict = current.catalog.verdict(symbol)
            if as_json:
                where = {"name": symbol.name, "module": symbol.module, "address": symbol.address}
                print(json.dumps({**where, "verdict": verdict.to_json()}))
            else:
                address = "-" * 16 if symbol.address is None else f"{symbol.address:016x}"
                module = f" [{symbol.module}]" if symbol.module else ""
                print(f"{address}  {symbol.name}{module}  {verdict.kind.value}")
        if not symbols:
            narrate(f"nothing matches {query!r}")
            return ExitCode.FAILED
        return ExitCode.OK
