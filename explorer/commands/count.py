"""``kexplore count``: how often functions are called, without an event for each call."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import signal
import sys
from typing import Any

from explorer.commands.connection import narrate, session
from explorer.errors import ExitCode, UsageError
from explorer.session import dead_sessions, family, hot_functions, selection
from explorer.session.budget import DEFAULT, Budget
from explorer.session.change import Change
from explorer.session.loading import Stage
from explorer.session.probe import Probe
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.selection import Selection
from explorer.session.session import Session
from symbols.errors import Category, KexploreError
from symbols.symbol import Symbol
from symbols.verdict import Mechanism

_STAGES = frozenset({Stage.NAMES, Stage.LISTS})
_NOTHING = "$tid == -1"
"""A filter that no hit passes: probes count, and record nothing."""
_NAMED = 5
"""Functions that are named of many."""


@dataclasses.dataclass(slots=True)
class _Wanted:
    """What is to be counted.

    Attributes:
        functions: By ftrace: calls of whole functions.
        probes: By probes that record nothing: what ftrace cannot do.
        left_out: Deadly hot functions that a pattern or query would have meant, too.
    """

    functions: list[Symbol]
    probes: list[ProbeSpec]
    left_out: list[str]


@dataclasses.dataclass(frozen=True, slots=True)
class _Row:
    """One line of the result."""

    name: str
    calls: int
    seconds: float
    exact: bool
    by: str
    missed: int = 0

    @property
    def rate(self) -> float:
        return self.calls / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "function": self.name, "calls": self.calls, "per_second": round(self.rate, 3),
            "seconds": round(self.seconds, 3), "exact": self.exact, "by": self.by, "missed": self.missed,
        }  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Count until the time is over or the user ends it."""
    specs, selections = selection.divide(options.what)
    for selected in selections:
        if selected.kind is not ProbeKind.ENTRY:
            raise UsageError(
                f"{selected.text}: of many functions only the calls can be counted, not {selected.kind.value}s",
                f"count the calls: {selected.text.removesuffix(selected.kind.suffix)}",
            )
    return asyncio.run(_run(options, specs, selections))


async def _run(options: argparse.Namespace, specs: list[ProbeSpec], selections: list[Selection]) -> int:
    code = int(ExitCode.OK)
    ended = asyncio.Event()

    def interrupted(number: signal.Signals) -> None:
        nonlocal code
        code = ExitCode.INTERRUPTED if number == signal.SIGINT else 128 + number
        ended.set()

    stages = _STAGES | ({Stage.PROTOTYPES} if any(selected.of_types for selected in selections) else set())
    async with session(stages) as current:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, interrupted, number)
        current.subscribe(lambda change: ended.set() if change is Change.LOST else None)
        for message, hint in await dead_sessions.sweep(current):
            narrate(f"{message}" + (f" ({hint})" if hint else ""))
        _require(current)
        wanted = await _resolve(current, specs, selections, force=options.force)
        await _start(current, wanted, options.max_rate, options.seconds)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), options.seconds)
        if current.gone:
            raise KexploreError(current.gone)
        if wanted.functions:
            await current.calls.stop()
        probes = [probe for spec in wanted.probes if (probe := await current.disarm(spec)) is not None]
        _tell(current, wanted, probes, as_json=options.json)
    return code


def _require(current: Session) -> None:
    """Refuse where nothing could be counted, or nobody could tell whose the counts are."""
    assert current.hello is not None
    assert current.catalog is not None
    refusal = current.hello.refusal()
    if refusal is not None:
        raise refusal
    if current.catalog.addresses_hidden:
        raise KexploreError(
            "this kernel hides its addresses, by which it tells what was called",
            "as root: sysctl kernel.kptr_restrict=1", Category.NOT_PERMITTED,
        )  # fmt: skip


async def _resolve(current: Session, specs: list[ProbeSpec], selections: list[Selection], *, force: bool) -> _Wanted:
    """What is meant: single probes, as far as possible by ftrace, and all that the selections select.

    Raises:
        KexploreError: One of them means nothing, or is deadly hot and named without ``force``.
    """
    catalog = current.catalog
    assert catalog is not None
    wanted = _Wanted([], [], [])
    specs = family.expand(current, specs)
    if not force:
        hot_functions.require_force(current, specs)
    for spec in specs:
        symbol = current.resolve(spec)
        if symbol is not None and _by_ftrace(spec) and catalog.verdict(symbol).mechanism is Mechanism.FTRACE:
            wanted.functions.append(symbol)
        else:
            wanted.probes.append(spec)
    for selected in selections:
        matching = await asyncio.to_thread(selection.symbols, current, selected)
        if not matching:
            raise KexploreError(
                f"no function matches {selected.text}", "* stands for any letters, ? for one: tcp_*, ext4:ext4_*_open"
            )
        hot = [] if force else [symbol for symbol in matching if hot_functions.reason(symbol.name)]
        wanted.left_out += [symbol.qualified_name for symbol in hot]
        wanted.functions += [symbol for symbol in matching if symbol not in hot]
    wanted.functions = list(dict.fromkeys(wanted.functions))
    return wanted


def _by_ftrace(spec: ProbeSpec) -> bool:
    """Whether it is the entry of a function that is known by its name: what the function tracer knows."""
    return spec.kind is ProbeKind.ENTRY and not spec.offset and spec.address is None


async def _start(current: Session, wanted: _Wanted, max_rate: int | None, seconds: float | None) -> None:
    budget = DEFAULT if max_rate is None else Budget(max_rate or None, None)
    if wanted.left_out:
        narrate(f"left out, as deadly hot (--force counts them too): {', '.join(wanted.left_out)}")
    if wanted.probes and max_rate is not None:
        await current.set_budget(budget)
    for spec in wanted.probes:
        await current.arm(spec, registers=False, condition=_NOTHING)
        narrate(f"{spec}: counted by a kprobe, as ftrace's function tracer counts entries of functions only that have "
                "a call site of ftrace, by name")  # fmt: skip
    if wanted.functions:
        await current.calls.start(wanted.functions, budget)
        absent = current.calls.absent
        if absent:
            narrate(f"{len(absent):,} functions that ftrace cannot follow are left out: {_some(absent)}")
    counted = current.calls.places + len(wanted.probes)
    until = f"for {seconds:g} s" if seconds else "until Ctrl-C"
    narrate(f"counting {counted:,} {'function' if counted == 1 else 'functions'} {until}")


def _tell(current: Session, wanted: _Wanted, probes: list[Probe], *, as_json: bool) -> None:
    calls = current.calls
    functions = calls.functions(current.catalog) if current.catalog is not None and wanted.functions else []
    rows = [
        _Row(each.name, each.calls, each.seconds, not calls.lost and not each.dropped, "ftrace") for each in functions
    ]
    rows += [_of_probe(probe, calls.seconds) for probe in probes]
    rows.sort(key=lambda row: -row.calls)
    if as_json:
        for row in rows:
            print(json.dumps(row.to_json()))
        summary = {
            "seconds": round(calls.seconds, 3), "functions": calls.places + len(probes), "called": len(rows),
            "lost": calls.lost, "own": calls.own, "absent": calls.absent, "left_out": wanted.left_out,
        }  # fmt: skip
        print(json.dumps({"summary": summary}), flush=True)
    else:
        _print_table(rows)
    silent = calls.places - sum(each.places for each in functions)
    if silent:
        narrate(f"{silent:,} were not called")
    if calls.lost:
        narrate(f"{calls.lost:,} calls were lost in a flood: counts marked with ≥ are lower bounds")
    for each in functions:
        if each.dropped:
            narrate(f"{each.name}: over the budget, counted for {each.seconds:.1f} s only; --max-rate 0 sets no limit")
    if calls.own:
        narrate(f"{calls.own:,} calls of kexplore's own agent are not counted")


def _of_probe(probe: Probe, seconds: float) -> _Row:
    exact = not probe.counters.missed and not (probe.guard is not None and probe.guard.holds_back)
    return _Row(str(probe.spec), probe.counters.hits, seconds, exact, "kprobe", probe.counters.missed)


def _print_table(rows: list[_Row]) -> None:
    width = max([len(row.name) for row in rows] + [len("FUNCTION")])
    print(f"{'FUNCTION':<{width}} {'CALLS':>14} {'A SECOND':>12}")
    for row in rows:
        mark = "" if row.exact else "≥"
        missed = f"  {row.missed:,} missed" if row.missed else ""
        print(f"{row.name:<{width}} {mark + format(row.calls, ','):>14} {row.rate:>12,.1f}{missed}")
    sys.stdout.flush()


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
