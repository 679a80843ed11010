"""``kexplore cost``: what a hit of each mechanism costs on this machine, and what the guard will reckon with."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json

from explorer.commands.connection import narrate, session
from explorer.errors import ExitCode
from explorer.session import prices
from explorer.session.cost import Cost, measure
from explorer.session.cost import prices as priced
from explorer.session.guard import core_share
from explorer.session.loading import Stage
from symbols.errors import KexploreError

RATES = (1_000, 100_000, 1_000_000)
_MECHANISMS = {
    "count": "counted by ftrace",
    "ftrace": "entry, by ftrace",
    "return": "return, by ftrace",
    "fprobe": "entry, an fprobe",
    "fprobe return": "return, an fprobe",
    "bpf": "entry, by bpf",
    "bpf return": "return, by bpf",
    "bpf count": "counted by bpf",
    "jump": "inside, by a jump",
    "int3": "inside, by a breakpoint",
}


def run(options: argparse.Namespace) -> int:
    """Measure, print, and keep the figures."""
    return asyncio.run(_run(as_json=options.json))


async def _run(*, as_json: bool) -> int:
    async with session(frozenset({Stage.NAMES, Stage.LISTS})) as current:
        assert current.hello is not None
        if not as_json:
            heads = "".join(f"{f'{rate:,}/s':>18}" for rate in RATES)
            print(f"{'a hit of a probe':<24}{'takes':>9}  {'between':<22}{heads}")
        costs = []
        async for cost in measure(current):
            costs.append(cost)
            print(json.dumps(dataclasses.asdict(cost)) if as_json else _line(cost), flush=True)
        if any(cost.nanoseconds is not None for cost in costs):
            try:
                file = prices.keep(current.hello, priced(costs))
            except OSError as error:
                raise KexploreError(f"the figures cannot be kept: {error}", "set XDG_CACHE_HOME") from None
            narrate(f"the guard reckons with these figures from now on ({file})")
    return ExitCode.OK


def _line(cost: Cost) -> str:
    name = f"{_MECHANISMS[cost.mechanism]:<24}"
    if cost.nanoseconds is None:
        return f"{name}{'?':>9}  {cost.cause}"
    between = f"{cost.least:,.0f} and {cost.most:,.0f}"
    if cost.nanoseconds <= 0:
        return f"{name}{'~0 ns':>9}  {between:<22}  less than the noise of this machine"
    shares = "".join(f"{core_share(cost.share(rate)):>18}" for rate in RATES)
    return f"{name}{cost.nanoseconds:>6,.0f} ns  {between:<22}{shares}"
