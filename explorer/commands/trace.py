"""``kexplore trace``: arm probes, print each hit, account for every one of them at the end."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from typing import Any

from explorer.commands import trace_calls, trace_groups
from explorer.commands.connection import narrate, session
from explorer.errors import ExitCode, UsageError
from explorer.session import dead_sessions, family, hot_functions, selection, stacks
from explorer.session.budget import Budget
from explorer.session.change import Change
from explorer.session.events import Event
from explorer.session.filters.several import apportion
from explorer.session.gated_command import GatedCommand
from explorer.session.group_plan import GroupPlan
from explorer.session.guard import RAISE_HINT, State
from explorer.session.loading import Stage
from explorer.session.probe import Counters, Probe
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.selection import Selection
from explorer.session.session import Session
from explorer.session.time_limit import TimeLimit
from explorer.session.values import printable

_STAGES = frozenset({Stage.NAMES, Stage.LISTS, Stage.PROTOTYPES})
_ROWS = 50_000
"""How many rows the agent may be ahead: here everything is printed, nothing is for a screen."""

_STACKS: dict[str, tuple[str, ...]] = {
    "none": (), "kernel": ("kernel",), "user": ("user",), "both": ("kernel", "user"),
}  # fmt: skip

_REST = 0.5
"""Seconds after the end of a command from which it is told that something is left of it."""


def run(options: argparse.Namespace) -> int:
    """Trace until the command, the duration, the count or the user ends it."""
    specs, selections = selection.divide(options.probes)
    if options.pid is not None and options.traced is not None:
        raise UsageError("--pid and a COMMAND exclude each other", "a COMMAND is traced with all that it starts")
    condition = _condition(options)
    if condition is not None:
        apportion(condition, specs)  # what cannot be read is told before anything is started
    command = GatedCommand(options.traced) if options.traced is not None else None
    try:
        return asyncio.run(_Trace(specs, selections, condition, command, options).run())
    finally:
        if command is not None:
            command.abandon()


class _Trace:
    """One run of the command."""

    def __init__(
        self,
        specs: list[ProbeSpec],
        selections: list[Selection],
        condition: str | None,
        command: GatedCommand | None,
        options: argparse.Namespace,
    ) -> None:
        self._specs = specs
        self._selections = selections
        self._groups: list[GroupPlan] = []
        self._condition = condition
        self._command = command
        self._pid: int | None = options.pid
        self._duration: float | None = options.duration
        self._count: int | None = options.count
        self._json: bool = options.json
        self._snapshot: str | None = options.kernel
        self._debuginfo: str | None = options.debuginfo
        self._max_rate: int | None = options.max_rate
        self._force: bool = options.force
        self._mechanism: str = options.mechanism
        self._engine: str = options.engine
        self._stacks: tuple[str, ...] = _STACKS[options.stack]
        self._yes: bool = options.yes
        self._maxactive: int = options.maxactive or 0
        self._limit: TimeLimit | None = options.time_limit
        self._held_back: dict[ProbeSpec, State] = {}
        self._alarmed: set[ProbeSpec] = set()
        self._printed = 0
        self._taken = 0
        self._first_time: int | None = None
        self._end = asyncio.Event()
        self._code = int(ExitCode.OK)
        self._interrupts = 0

    async def run(self) -> int:
        reached = session(
            _STAGES, snapshot=self._snapshot, rows_outstanding=_ROWS, debuginfo=self._debuginfo, limit=self._limit
        )
        async with reached as current:
            current.arming.planning.engine = self._engine
            current.subscribe(lambda change: self._changed(current, change))
            for message, hint in await dead_sessions.sweep(current):
                narrate(f"{message}" + (f" ({hint})" if hint else ""))
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, self._interrupted, number)
            focus = self._command.pid if self._command is not None else self._pid
            if focus is not None:
                assert current.hello is not None
                if current.hello.can_probe:  # else arm says why
                    await current.focus([focus])
            self._specs = family.expand(current, self._specs)
            if not self._force:
                hot_functions.require_force(current, self._specs)
            try:
                await self._arm(current)
            except trace_groups.GivenUpError:
                narrate("nothing is armed any more")
                return self._code or int(ExitCode.INTERRUPTED)
            names = ", ".join([*map(str, self._specs), *(group.name for group in self._groups)])
            ends = self._command or self._duration or self._count or self._limit
            narrate(f"armed {names}" + ("" if ends else "; Ctrl-C ends"))
            await self._wait()
            final = [probe for spec in self._specs if (probe := await current.disarm(spec)) is not None]
            final += await trace_groups.disarm(current, self._groups)
            self._print_new(current)
            self._summarise(final, current.journal.last_number)
        return self._code

    async def _arm(self, current: Session) -> None:
        if self._selections:
            self._groups = await trace_groups.plan(current, self._selections, force=self._force, yes=self._yes)
        if self._max_rate is not None and current.hello is not None and current.hello.can_probe:
            await current.set_budget(Budget(self._max_rate or None, None))
        conditions = {} if self._condition is None else apportion(self._condition, self._specs)
        for spec, condition in conditions.items():
            await current.arming.check_filter(spec, condition)  # all, before the first is armed
        for spec in self._specs:
            probe = await current.arm(
                spec,
                registers=False,
                condition=conditions.get(spec, ""),
                maxactive=self._maxactive,
                mechanism=self._mechanism,
                stacks=self._stacks,
            )
            tell_trust(probe)
            if probe.filter is not None:
                narrate(f"{spec}: {probe.filter.label}")
            elif conditions:
                narrate(f"{spec}: not filtered, as the filter asks for what returns only")
        await trace_groups.arm(current, self._groups, self._condition, self._end.is_set)

    async def _wait(self) -> None:
        """Until the command and all that it started end, the time is over, the count is reached or a signal says so."""
        tasks: list[asyncio.Task[object]] = [asyncio.create_task(self._end.wait())]
        if self._command is not None:
            self._command.open_gate()
            tasks.append(asyncio.create_task(self._command_ended(self._command)))
        await asyncio.wait(tasks, timeout=self._duration, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        if self._command is not None and self._command.code is None:
            narrate("the command is ended with the tracing")
            self._command.send(signal.SIGTERM)

    async def _command_ended(self, command: GatedCommand) -> None:
        self._code = await command.ended()
        rest = asyncio.ensure_future(command.gone())
        await asyncio.wait([rest], timeout=_REST)
        if not rest.done():
            narrate("the command has ended; what it started goes on and is traced until it ends, or until Ctrl-C")
        await rest

    def _interrupted(self, number: signal.Signals) -> None:
        """Leave the command to a first SIGINT, as strace does; end with anything else."""
        command = self._command
        if command is not None and command.code is not None:
            self._end.set()  # only what outlived it is left: its code stands
        elif command is not None and number == signal.SIGINT and not self._interrupts:
            self._interrupts += 1
            if not _terminal_is_ours():  # else it has had the signal from there
                command.send(number)
        else:
            self._code = ExitCode.INTERRUPTED if number == signal.SIGINT else 128 + number
            if command is not None:
                command.send(number)
            self._end.set()

    def _changed(self, current: Session, change: Change) -> None:
        if change is Change.EVENTS:
            self._print_new(current)
        elif change is Change.GUARD:
            self._tell_guard(current)
        elif change is Change.ALARM:
            self._tell_alarms(current)
        elif change is Change.PROBLEM:
            message, hint = current.problems[-1]
            narrate(f"{message}" + (f" ({hint})" if hint else ""))
        elif change is Change.EXPIRED:
            narrate(current.problems[-1][0])
            self._end.set()
        elif change is Change.LOST:
            narrate(current.problems[-1][0])
            self._code = ExitCode.FAILED
            self._end.set()

    def _tell_alarms(self, current: Session) -> None:
        for spec, probe in current.probes.items():
            if probe.alarm is not None and spec not in self._alarmed:
                self._alarmed.add(spec)
                narrate(f"{spec}: {trace_calls.alarm(probe)}")

    def _tell_guard(self, current: Session) -> None:
        for spec, probe in current.probes.items():
            before = self._held_back.get(spec, State.RUNNING)
            if probe.guard is not None and probe.guard.state is not before:
                self._held_back[spec] = probe.guard.state
                if probe.guard.state is State.RUNNING:
                    narrate(f"{spec}: calm again, no longer sampled")
                else:
                    narrate(f"{spec}: {probe.guard.text}; {RAISE_HINT}")

    def _print_new(self, current: Session) -> None:
        try:
            self._print_events(current)
        except BrokenPipeError:  # nobody reads any more; not to be taken for a broken pipe to the agent
            self._end_without_output(128 + signal.SIGPIPE)
        except OSError as error:  # a full disk
            narrate(f"cannot write the results: {error.strerror}")
            self._end_without_output(ExitCode.FAILED)

    def _end_without_output(self, code: int) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        self._code = code
        self._end.set()

    def _print_events(self, current: Session) -> None:
        journal = current.journal
        for event in journal.between(self._taken + 1, journal.last_number):
            self._taken = event.number
            if self._count is not None and self._printed >= self._count:
                break
            print(json.dumps(event_json(current, event)) if self._json else self._line(current, event))
            for frame in () if self._json else stacks.frames(current.catalog, event):
                print(f"{'':14}{frame}")
            self._printed += 1
        sys.stdout.flush()
        if self._count is not None and self._printed >= self._count:
            self._end.set()

    def _line(self, current: Session, event: Event) -> str:
        if self._first_time is None:
            self._first_time = event.time
        seconds = (event.time - self._first_time) / 1e9
        who = f"{printable(event.comm)}/{event.tid}" + ("" if event.context == "task" else f" ({event.context})")
        values = " ".join(f"{value.name}={value.text}" for value in current.describe(event))
        if event.call is not None:
            values += f"  {trace_calls.words(event.call)}"
        return f"{seconds:12.6f}  {who:<22} cpu{event.cpu}  {event.probe.spec}  {values}".rstrip()

    def _summarise(self, probes: list[Probe], shown: int) -> None:
        not_printed = shown - self._printed + sum(probe.counters.not_shown for probe in probes)
        if self._json:
            print(json.dumps({"summary": {str(probe.spec): _summary(probe) for probe in probes}}), flush=True)
        for name, total in trace_groups.summaries(self._groups, probes):
            narrate(f"{name}: {counters_text(total)}")
        for probe in probes:
            if not (probe.counters.hits or probe.counters.missed or not probe.group):
                continue
            for part in probe.parts:
                of_call = f" ({part.spec.kind.value})" if probe.calls is not None else ""
                narrate(f"{probe.spec}{of_call}: {counters_text(part.counters)}{mechanism_text(part)}")
            for line in trace_calls.lines(probe):
                narrate(f"{probe.spec}: {line}")
            if probe.alarm is not None:
                narrate(f"{probe.spec}: {trace_calls.alarm(probe)}")
            if probe.guard is not None and probe.guard.holds_back:
                narrate(f"{probe.spec}: {probe.guard.text}; {RAISE_HINT}")
        if self._count is not None and not_printed > 0:
            narrate(f"{not_printed} more hits came before the probes were disarmed")


def _summary(probe: Probe) -> dict[str, Any]:
    guard = {"guard": probe.guard.to_json()} if probe.guard is not None else {}
    alarm = {"alarm": probe.alarm.text} if probe.alarm is not None else {}
    missed = {} if probe.all_missed_is_known else {"missed": None}
    mechanism = {
        "mechanism": "/".join(part.mechanism for part in probe.parts),
        "engine": "/".join(dict.fromkeys(part.engine for part in probe.parts)),
    }
    return {**probe.counters.to_json(), **missed, **mechanism, **guard, **alarm, **trace_calls.summary(probe)}


def tell_trust(probe: Probe) -> None:
    """Say so when the arguments that will be printed need not be what they are called."""
    prototype = probe.prototype
    if prototype is not None and probe.fields and not prototype.trust.is_certain:
        narrate(f"{probe.spec}: the prototype is not certain ({prototype.trust.value}): {prototype.cause}")
    elif prototype is not None and not probe.spec.offset:
        doubtful = {p.name: p.location.doubt for p in prototype.parameters if p.location.doubt}
        for name, doubt in doubtful.items() if probe.spec.kind is ProbeKind.ENTRY else ():
            narrate(f"{probe.spec}: {name} is not certain: {doubt}")


def _terminal_is_ours() -> bool:
    """Whether a terminal sends its signals to our process group, and so to the command."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def _condition(options: argparse.Namespace) -> str | None:
    """What ``--filter`` and ``--comm`` ask for together; None for nothing."""
    if options.comm is None:
        asked: str | None = options.filter
        return asked
    name = options.comm.replace("\\", r"\\").replace('"', r"\"")
    comm = f'$comm == "{name}"'
    return comm if options.filter is None else f"({options.filter}) && {comm}"


def event_json(current: Session, event: Event) -> dict[str, Any]:
    """One line of ``trace --json``; a contract."""
    values = {value.name: value for value in current.describe(event)}
    called = trace_calls.members(event.call, values) if event.call is not None else {}
    return {
        "t": event.time / 1e9, "cpu": event.cpu, "pid": event.pid, "tid": event.tid, "comm": event.comm,
        "context": event.context, "probe": str(event.probe.spec), "kind": event.probe.spec.kind.value,
        "values": {name: value.to_json() for name, value in values.items()}, **called,
        **({"stacks": stacks.to_json(current.catalog, event.stacks)} if event.stacks is not None else {}),
    }  # fmt: skip


def mechanism_text(probe: Probe) -> str:
    """What the probe was, and why; where nobody counts what it missed, that its number of those means nothing."""
    unknown = "" if probe.missed_is_known else "; what it missed is not known"
    name = "bpf" if probe.engine == "bpf" else probe.mechanism
    return f"; {name}: {probe.mechanism_cause}{unknown}" if name else ""


def counters_text(counters: Counters) -> str:
    """All five numbers, so that none can be taken for another."""
    return (
        f"{counters.hits:,} hits, {counters.missed:,} missed, {counters.lost:,} lost, {counters.filtered:,} filtered, "
        f"{counters.not_shown:,} not shown"
    )
