"""What a probe costs here: a cheap system call, timed with a probe of each mechanism on its way and without.

The calls are made by a process of their own, which measures its processor time: what the kernel does for a hit is done
in there. The time that kexplore takes to read the events is not in it. Every probe records one value beside what all
record (who, where, when), so that their prices differ by the mechanism alone.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import statistics
from collections.abc import AsyncIterator, Sequence

from explorer.agent.protocol import Message
from explorer.errors import AgentError
from explorer.session.aggregates import Wanted
from explorer.session.budget import Budget
from explorer.session.cost_caller import CALLED, INNER, Caller, caller
from explorer.session.options import Options
from explorer.session.probe import Probe
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.session import Session
from symbols.catalog import Catalog
from symbols.disassembly import Flow
from symbols.errors import Category, KexploreError
from symbols.kprobes_list import parse_kprobes
from symbols.probe_sites import Role
from symbols.symbol import Symbol
from symbols.verdict import Mechanism

ROUNDS = 5
ROUND_SECONDS = 0.06
_TRIED = 200
"""Calls by which it is estimated how many fill a round."""
_MOST_TRIES = 3
"""Places tried for a jump, in each function."""
_OPTIMISED_WITHIN = 3.0
"""Seconds until a breakpoint that can be a jump is one: the kernel waits until nobody can be in between."""
_WAITED_FOR_JUMPS = 6.0
"""Seconds after which no further place is waited at: the whole is not to take longer than 20."""
_UNLIMITED = Budget(None, None)


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """What one mechanism adds to a call.

    Attributes:
        mechanism: ``count`` (the function tracer), ``ftrace``, ``jump``, ``int3`` (kprobes), ``return`` (a kprobe's,
            the entry that it begins with included), ``fprobe``, ``fprobe return`` (likewise).
        place: What was probed; "" where nothing could be.
        nanoseconds: The median, of each hit; None where it could not be measured.
        least: Of the rounds.
        most: Of the rounds.
        hits: How many there were.
        cause: Why it could not be measured.
    """

    mechanism: str
    place: str = ""
    nanoseconds: float | None = None
    least: float = 0.0
    most: float = 0.0
    hits: int = 0
    cause: str = ""

    def share(self, rate: float) -> float:
        """The part of a processor that so many hits a second take."""
        return (self.nanoseconds or 0.0) * rate / 1e9


async def measure(session: Session) -> AsyncIterator[Cost]:
    """Measure each mechanism in turn; nothing is armed afterwards.

    Raises:
        KexploreError: Nothing can be probed there, or the call's function is not known.
    """
    hello = session.hello
    assert hello is not None
    if (refusal := hello.refusal()) is not None:
        raise refusal
    catalog = session.catalog
    assert catalog is not None
    symbol = _called(catalog)
    await session.set_budget(_UNLIMITED)  # a flood is the point
    async with caller() as process:
        bench = _Bench(session, process)
        entry = session.probe_for(symbol)
        returns = dataclasses.replace(entry, kind=ProbeKind.RETURN)
        yield await bench.counted(symbol)
        if catalog.verdict(symbol).mechanism is Mechanism.FTRACE:
            yield await bench.probed("ftrace", entry)
        else:
            yield Cost("ftrace", cause=f"{symbol.name} has no call site of ftrace")
        yield await bench.probed("return", returns)
        yield await bench.probed("fprobe", entry, _options("fprobe"))
        yield await bench.probed("fprobe return", returns, _options("fprobe"))
        by_bpf = Options(registers=False, engine="bpf", one_value=True)
        yield await bench.probed("bpf", entry, by_bpf)
        yield await bench.probed("bpf return", returns, by_bpf)
        yield await bench.probed("bpf count", entry, dataclasses.replace(by_bpf, aggregate=Wanted()))
        passed = [found[0] for name in INNER if len(found := catalog.find(name)) == 1]
        for cost in await bench.inside([*passed, symbol]):
            yield cost


def _called(catalog: Catalog) -> Symbol:
    for name in CALLED:
        found = catalog.find(name)
        if found:
            return found[0]
    raise KexploreError(
        "the system call that is timed, getpgid, is not among this kernel's symbols", "", Category.KERNEL_CANNOT
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Rounds:
    """How many calls were timed, and how long one took in each round, in nanoseconds."""

    calls: int
    nanoseconds: list[float]

    def __add__(self, other: _Rounds) -> _Rounds:
        return _Rounds(self.calls + other.calls, self.nanoseconds + other.nanoseconds)


class _Bench:
    """Times calls with one probe armed and with none."""

    def __init__(self, session: Session, process: Caller) -> None:
        self._session = session
        self._process = process
        self._waited = 0.0

    async def counted(self, symbol: Symbol) -> Cost:
        """Of the function tracer, which counts calls and records nothing else."""
        counts = self._session.calls
        before = await self._rounds()
        try:
            await counts.start([symbol], _UNLIMITED)
        except KexploreError as error:
            return Cost("count", cause=error.message)
        with_tracer = await self._rounds()
        await counts.stop()
        assert self._session.catalog is not None
        calls = sum(each.calls for each in counts.functions(self._session.catalog)) + counts.lost
        return self._cost("count", symbol.name, calls, before + await self._rounds(), with_tracer)

    async def probed(self, mechanism: str, spec: ProbeSpec, options: Options | None = None) -> Cost:
        """Of one probe."""
        before = await self._rounds()
        try:
            await self._session.arming.arm(spec, options or _options("kprobe"))
        except KexploreError as error:
            await self._session.disarm(spec)
            return Cost(mechanism, cause=error.message)
        with_probe = await self._rounds()
        probe = await self._session.disarm(spec)
        return self._cost_of(mechanism, probe, before + await self._rounds(), with_probe)

    async def inside(self, functions: Sequence[Symbol]) -> Sequence[Cost]:
        """Of a breakpoint, which a fresh probe inside a function is, and of the jump that the kernel may make of it."""
        no_jump = await self._why_no_jump()
        causes = {
            "int3": "the kernel made a jump of it before it could be measured",
            "jump": no_jump or "the kernel left breakpoints where it was tried",
        }
        found: dict[str, Cost] = {}
        for symbol in functions:
            try:
                offsets = await self._offsets(symbol)
            except KexploreError as error:
                causes = dict.fromkeys(causes, error.message)
                break
            for offset in offsets[:_MOST_TRIES]:
                if "int3" in found and (no_jump or "jump" in found or self._waited >= _WAITED_FOR_JUMPS):
                    break
                found = {**await self._at(symbol, offset, jump=not no_jump and "jump" not in found), **found}
        return [found.get(mechanism, Cost(mechanism, cause=cause)) for mechanism, cause in causes.items()]

    async def _at(self, symbol: Symbol, offset: int, *, jump: bool) -> dict[str, Cost]:
        """What can be measured at one place inside a function, after a wait for a jump if that is wanted."""
        assert symbol.address is not None
        spec, address = dataclasses.replace(self._session.probe_for(symbol), offset=offset), symbol.address + offset
        before = await self._rounds()
        try:
            await self._session.arming.arm(spec, _options("kprobe"))
        except KexploreError:
            await self._session.disarm(spec)
            return {}
        timed = {"int3": await self._rounds()}
        if await self._is_optimised(address):
            timed.clear()
        if jump and self._waited < _WAITED_FOR_JUMPS and await self._becomes_optimised(address):
            timed["jump"] = await self._rounds()
        probe = await self._session.disarm(spec)
        after = await self._rounds()
        costs = {name: self._cost_of(name, probe, before + after, times) for name, times in timed.items()}
        return {name: cost for name, cost in costs.items() if not cost.cause}

    def _cost_of(self, mechanism: str, probe: Probe | None, without: _Rounds, timed: _Rounds) -> Cost:
        assert probe is not None
        hits = probe.counters.hits + probe.counters.missed
        return self._cost(mechanism, str(probe.spec), hits, without, timed)

    def _cost(self, mechanism: str, place: str, hits: int, without: _Rounds, timed: _Rounds) -> Cost:
        if hits < timed.calls:
            return Cost(mechanism, place, hits=hits, cause="not every call passed there")
        added = sorted(each - statistics.median(without.nanoseconds) for each in timed.nanoseconds)
        return Cost(mechanism, place, statistics.median(added), added[0], added[-1], hits)

    async def _rounds(self) -> _Rounds:
        calls = max(_TRIED, round(ROUND_SECONDS * 1e9 / await self._process.nanoseconds(_TRIED)))
        return _Rounds(calls * ROUNDS, [await self._process.nanoseconds(calls) for _ in range(ROUNDS)])

    async def _offsets(self, symbol: Symbol) -> Sequence[int]:
        """Places that every call passes: from the entry to the first branch."""
        assert self._session.catalog is not None
        listing = await self._session.code.listing(self._session.catalog, symbol)
        straight = itertools.takewhile(lambda site: site.instruction.flow in (Flow.ON, Flow.CALL), listing.sites)
        return [listing.offset(site) for site in straight if site.role is Role.CODE and not site.cause]

    async def _why_no_jump(self) -> str:
        """Why this kernel makes none of breakpoints; "" where it may."""
        try:
            switch = await self._session.fact("kprobes_optimization")
        except AgentError as error:
            return f"no breakpoint becomes one: {error.hint or error.message}"
        return "" if switch.strip() == b"1" else "as root: sysctl debug.kprobes-optimization=1"

    async def _is_optimised(self, address: int) -> bool:
        listed = parse_kprobes(await self._session.fact("kprobes"))
        return any(probe.address == address and "OPTIMIZED" in probe.flags for probe in listed)

    async def _becomes_optimised(self, address: int) -> bool:
        """Whether the kernel makes a jump of it, for which it takes its time."""
        began = asyncio.get_running_loop().time()
        while not (optimised := await self._is_optimised(address)):
            waited = asyncio.get_running_loop().time() - began
            if waited > _OPTIMISED_WITHIN:
                self._waited += waited
                break
            await asyncio.sleep(0.1)
        return optimised


def _options(mechanism: str) -> Options:
    return Options(registers=False, mechanism=mechanism, engine="tracefs", one_value=True)


def prices(costs: Sequence[Cost]) -> Message:
    """The members of the protocol's ``prices``: what was measured, in whole nanoseconds; null for what was not."""
    measured = {cost.mechanism: max(1, round(cost.nanoseconds)) for cost in costs if cost.nanoseconds is not None}

    def on_top(whole: str, entry: str) -> int | None:
        return max(1, measured[whole] - measured[entry]) if whole in measured and entry in measured else None

    return {
        "ftrace": measured.get("ftrace"), "jump": measured.get("jump"), "breakpoint": measured.get("int3"),
        "returned": on_top("return", "ftrace"), "fprobe": measured.get("fprobe"),
        "fprobe_returned": on_top("fprobe return", "fprobe"), "bpf": on_top("bpf", "ftrace"),
    }  # fmt: skip
