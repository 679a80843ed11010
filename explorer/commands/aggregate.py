"""``kexplore aggregate``: hits counted in the kernel, by a key and by the sizes of a number; none makes an event."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal

from explorer.commands.connection import narrate, session
from explorer.errors import ExitCode, UsageError
from explorer.session import dead_sessions, family, hot_functions
from explorer.session.aggregates import LATENCY, Row, Wanted
from explorer.session.budget import Budget
from explorer.session.change import Change
from explorer.session.filters.several import apportion
from explorer.session.gated_command import GatedCommand
from explorer.session.latencies import duration
from explorer.session.loading import Stage
from explorer.session.probe import Probe
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.session import Session
from explorer.session.values import printable
from symbols.errors import KexploreError

_STAGES = frozenset({Stage.NAMES, Stage.LISTS, Stage.PROTOTYPES})
_BAR = 40


def run(options: argparse.Namespace) -> int:
    """Count until the command, the time or the user ends it."""
    specs = [ProbeSpec.parse(word) for word in options.probes]
    if options.pid is not None and options.traced is not None:
        raise UsageError("--pid and a COMMAND exclude each other", "a COMMAND is followed with all that it starts")
    if options.of == LATENCY and any(spec.kind is not ProbeKind.CALL for spec in specs):
        raise UsageError("only whole calls have a latency", f"kexplore aggregate {specs[0].symbol}%call")
    command = GatedCommand(options.traced) if options.traced is not None else None
    try:
        return asyncio.run(_Run(specs, command, options).run())
    finally:
        if command is not None:
            command.abandon()


class _Run:
    """One run of the command."""

    def __init__(self, specs: list[ProbeSpec], command: GatedCommand | None, options: argparse.Namespace) -> None:
        self._specs = specs
        self._command = command
        self._options = options
        self._end = asyncio.Event()
        self._code = int(ExitCode.OK)

    async def run(self) -> int:
        options = self._options
        async with session(_STAGES) as current:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, self._interrupted, number)
            current.subscribe(lambda change: self._changed(current, change))
            for message, hint in await dead_sessions.sweep(current):
                narrate(message + (f" ({hint})" if hint else ""))
            focus = self._command.pid if self._command is not None else options.pid
            assert current.hello is not None
            if focus is not None and current.hello.can_probe:  # else arm says why
                await current.focus([focus])
            if options.max_rate is not None and current.hello.can_probe:
                await current.set_budget(Budget(options.max_rate or None, None))
            specs = family.expand(current, self._specs)
            if not options.force:
                hot_functions.require_force(current, specs)
            await self._arm(current, specs)
            narrate(f"counting {', '.join(map(str, specs))}" + ("" if self._bounded else "; Ctrl-C ends"))
            await self._wait()
            if current.gone:
                raise KexploreError(current.gone)
            probes = [probe for spec in specs if (probe := await current.disarm(spec)) is not None]
        for probe in probes:
            self._tell(probe)
        return self._code

    @property
    def _bounded(self) -> bool:
        return self._command is not None or self._options.seconds is not None

    async def _arm(self, current: Session, specs: list[ProbeSpec]) -> None:
        options = self._options
        conditions = {} if options.filter is None else apportion(options.filter, specs)
        for spec in specs:
            of = options.of or (LATENCY if spec.kind is ProbeKind.CALL else "")
            await current.arm(
                spec, registers=False, condition=conditions.get(spec, ""), engine="bpf",
                aggregate=Wanted(options.by, of),
            )  # fmt: skip

    async def _wait(self) -> None:
        tasks: list[asyncio.Task[object]] = [asyncio.create_task(self._end.wait())]
        if self._command is not None:
            self._command.open_gate()
            tasks.append(asyncio.create_task(self._command.gone()))
        await asyncio.wait(tasks, timeout=self._options.seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._command is not None:
            if self._command.code is None:
                narrate("the command is ended with the counting")
                self._command.send(signal.SIGTERM)
            elif not self._code:
                self._code = self._command.code

    def _interrupted(self, number: signal.Signals) -> None:
        self._code = ExitCode.INTERRUPTED if number == signal.SIGINT else 128 + number
        if self._command is not None:
            self._command.send(number)
        self._end.set()

    def _changed(self, current: Session, change: Change) -> None:
        if change in (Change.LOST, Change.EXPIRED):
            self._end.set()
        elif change is Change.PROBLEM:
            message, hint = current.problems[-1]
            narrate(message + (f" ({hint})" if hint else ""))

    def _tell(self, probe: Probe) -> None:
        assert probe.aggregate is not None
        rows = probe.aggregate.rows()
        counters = probe.parts[-1].counters
        if self._options.json:
            shown = [row.to_json() for row in rows]
            guard = {"guard": probe.guard.to_json()} if probe.guard is not None else {}
            members = {"by": self._options.by or None, "of": probe.aggregate.wanted.of or None, "keys": shown}
            missed = {} if probe.all_missed_is_known else {"missed": None}
            told = {**members, **counters.to_json(), **missed, "unpaired": probe.aggregate.unpaired}
            print(json.dumps({"probe": str(probe.spec), **told, **guard}))
            return
        is_time = probe.aggregate.wanted.of == LATENCY
        for row in rows[: self._options.top]:
            _print(probe, row, is_time=is_time)
        if len(rows) > self._options.top:
            narrate(f"{probe.spec}: {len(rows) - self._options.top:,} more keys; --top shows them")
        unpaired = f", {probe.aggregate.unpaired:,} returns without an entry" if probe.aggregate.unpaired else ""
        unknown = "" if probe.all_missed_is_known else "; what it missed is not known"
        narrate(
            f"{probe.spec}: {counters.hits:,} hits, {counters.missed:,} missed, {counters.lost:,} lost, "
            f"{counters.filtered:,} filtered{unpaired}{unknown}"
        )
        if probe.guard is not None and probe.guard.holds_back:
            narrate(f"{probe.spec}: {probe.guard.text}; --max-rate allows more")


def _print(probe: Probe, row: Row, *, is_time: bool) -> None:
    name = "" if row.key is None else f"  {printable(str(row.key))}"
    figures = ""
    if row.mean is not None and row.steps:
        text = duration if is_time else _plain
        middle, most = row.percentile(0.5), row.percentile(0.95)
        assert middle is not None
        assert most is not None
        figures = f"  mean {text(round(row.mean))}, p50 {text(middle)}, p95 {text(most)}"
    unread = f", {row.unread:,} could not be read" if row.unread else ""
    print(f"{probe.spec}{name}  {row.count:,}{figures}{unread}")
    buckets = row.histogram()
    largest = max((count for _, _, count in buckets), default=0)
    for least, below, count in buckets:
        ends = (duration(least), duration(below)) if is_time else (_plain(least), _plain(below))
        print(f"  {ends[0]:>12} .. {ends[1]:>12}  {count:>10,} {'#' * -(-count * _BAR // largest)}".rstrip())


def _plain(number: int) -> str:
    return f"{number:,}"
