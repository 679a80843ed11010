"""What a probe costs here: a cheap system call, timed with a probe of each mechanism on its way and without.

The calls are made by a process of their own, which measures its processor time: what the kernel does for a hit is done
in there. The time that kexplore takes to read the events is not in it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from explorer.agent.protocol import Message
from explorer.session.budget import Budget
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

CALLED = ("__x64_sys_getpgid", "__arm64_sys_getpgid", "__se_sys_getpgid", "sys_getpgid")
"""The entry of the system call, by architecture: short, without locks, and hardly ever called by others."""
INNER = "do_getpgid"
"""What it calls, where that was not inlined: longer, with room for a jump."""
ROUNDS = 5
ROUND_SECONDS = 0.06
_MOST_TRIES = 3
"""Places tried for a jump."""
_OPTIMISED_WITHIN = 3.0
"""Seconds until a breakpoint that can be a jump is one: the kernel waits until nobody can be in between."""

_CALLER = """
import os, sys, time
for line in sys.stdin:
    calls = range(int(line))
    begin = time.thread_time_ns()
    for _ in calls:
        os.getpgid(0)
    print(time.thread_time_ns() - begin, flush=True)
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """What one mechanism adds to a call.

    Attributes:
        mechanism: ``ftrace``, ``jump``, ``int3``, or ``return`` (on top of an entry's, by ftrace).
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


class Caller:
    """The process that makes the calls.

    Args:
        process: Running ``_CALLER``.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def nanoseconds(self, calls: int) -> float:
        """Make calls.

        Returns:
            The processor time of one.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"%d\n" % calls)
        answer = await self._process.stdout.readline()
        if not answer:
            raise KexploreError("the process that is measured ended", "run it again")
        return int(answer) / calls


@asynccontextmanager
async def _caller() -> AsyncIterator[Caller]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", _CALLER,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Caller(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


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
    await session.set_budget(Budget(None, None))  # a flood is the point
    async with _caller() as caller:
        calls = max(100, round(ROUND_SECONDS * 1e9 / await caller.nanoseconds(2000)))
        bench = _Bench(session, caller, calls)
        entry = session.probe_for(symbol)
        if catalog.verdict(symbol).mechanism is Mechanism.FTRACE:
            yield await bench.cost("ftrace", entry)
        else:
            yield Cost("ftrace", cause=f"{symbol.name} has no call site of ftrace")
        yield await bench.cost("return", dataclasses.replace(entry, kind=ProbeKind.RETURN))
        inner = catalog.find(INNER)
        for cost in await bench.inside(inner[0] if len(inner) == 1 else symbol):
            yield cost


def _called(catalog: Catalog) -> Symbol:
    for name in CALLED:
        found = catalog.find(name)
        if found:
            return found[0]
    raise KexploreError(
        "the system call that is timed, getpgid, is not among this kernel's symbols", "", Category.KERNEL_CANNOT
    )


class _Bench:
    """Times calls with one probe armed and with none."""

    def __init__(self, session: Session, caller: Caller, calls: int) -> None:
        self._session = session
        self._caller = caller
        self._calls = calls

    async def cost(self, mechanism: str, spec: ProbeSpec) -> Cost:
        """Of one probe."""
        before = await self._rounds()
        try:
            await self._session.arm(spec, registers=False)
        except KexploreError as error:
            await self._session.disarm(spec)
            return Cost(mechanism, cause=error.message)
        with_probe = await self._rounds()
        probe = await self._session.disarm(spec)
        return self._cost(mechanism, probe, before + await self._rounds(), with_probe)

    async def inside(self, symbol: Symbol) -> Sequence[Cost]:
        """Of a breakpoint, which a fresh probe inside a function is, and of the jump that the kernel makes of it."""
        try:
            offsets = await self._offsets(symbol)
        except KexploreError as error:
            return [Cost(mechanism, cause=error.message) for mechanism in ("int3", "jump")]
        costs = {
            "int3": Cost("int3", cause="the kernel made a jump of it before it could be measured"),
            "jump": Cost("jump", cause="the kernel left breakpoints where it was tried"),
        }
        for offset in offsets[:_MOST_TRIES]:
            assert symbol.address is not None
            spec, address = dataclasses.replace(self._session.probe_for(symbol), offset=offset), symbol.address + offset
            before = await self._rounds()
            try:
                await self._session.arm(spec, registers=False)
            except KexploreError:
                await self._session.disarm(spec)
                continue
            timed = {"int3": await self._rounds()}
            if await self._is_optimised(address):
                timed.clear()
            if await self._becomes_optimised(address):
                timed["jump"] = await self._rounds()
            probe = await self._session.disarm(spec)
            after = await self._rounds()
            costs.update({name: self._cost(name, probe, before + after, times) for name, times in timed.items()})
            if costs["jump"].nanoseconds is not None:
                break
        return list(costs.values())

    def _cost(self, mechanism: str, probe: Probe | None, without: list[float], with_probe: list[float]) -> Cost:
        assert probe is not None
        hits = probe.counters.hits + probe.counters.missed
        if hits < self._calls * len(with_probe):
            return Cost(mechanism, str(probe.spec), hits=hits, cause="not every call passed there")
        added = sorted(time - statistics.median(without) for time in with_probe)
        return Cost(mechanism, str(probe.spec), statistics.median(added), added[0], added[-1], hits)

    async def _rounds(self) -> list[float]:
        return [await self._caller.nanoseconds(self._calls) for _ in range(ROUNDS)]

    async def _offsets(self, symbol: Symbol) -> Sequence[int]:
        """Places that every call passes: from the entry to the first branch."""
        assert self._session.catalog is not None
        listing = await self._session.code.listing(self._session.catalog, symbol)
        straight = itertools.takewhile(lambda site: site.instruction.flow in (Flow.ON, Flow.CALL), listing.sites)
        return [listing.offset(site) for site in straight if site.role is Role.CODE and not site.cause]

    async def _is_optimised(self, address: int) -> bool:
        listed = parse_kprobes(await self._session.fact("kprobes"))
        return any(probe.address == address and "OPTIMIZED" in probe.flags for probe in listed)

    async def _becomes_optimised(self, address: int) -> bool:
        """Whether the kernel makes a jump of it, for which it takes its time."""
        deadline = asyncio.get_running_loop().time() + _OPTIMISED_WITHIN
        while not await self._is_optimised(address):
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.1)
        return True


def prices(costs: Sequence[Cost]) -> Message:
    """The members of the protocol's ``prices``: what was measured, in whole nanoseconds; null for what was not."""
    measured = {cost.mechanism: max(1, round(cost.nanoseconds)) for cost in costs if cost.nanoseconds is not None}
    entry, whole = measured.get("ftrace"), measured.get("return")
    measured_return = max(1, whole - entry) if entry is not None and whole is not None else None
    return {
        "ftrace": entry, "jump": measured.get("jump"), "breakpoint": measured.get("int3"), "returned": measured_return
    }  # fmt: skip
