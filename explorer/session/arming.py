"""Arms and disarms the probes of a session, one or several by one request, and puts filters on them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Collection, Sequence
from typing import TYPE_CHECKING, Any

from explorer.agent.protocol import Message
from explorer.errors import AgentError
from explorer.session import places
from explorer.session.agent_client import error_of
from explorer.session.change import Change
from explorer.session.filters.filter import Filter, compile_filter
from explorer.session.filters.scope import Scope
from explorer.session.group_work import GroupWork
from explorer.session.pace import Pace
from explorer.session.probe import Counters, Field, Probe, ProbeState, plan_reads
from explorer.session.probe_spec import ProbeSpec
from symbols.abi.conventions import CONVENTIONS
from symbols.errors import KexploreError
from symbols.prototype import Prototype
from symbols.symbol import Symbol

if TYPE_CHECKING:
    from explorer.session.session import Session


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """How probes are armed.

    Attributes:
        registers: Whether all registers are recorded with each event, for the inspector.
        maxactive: For a return probe, how many calls may be under way at once; 0 leaves it to the kernel.
        condition: The filter of its hits; "" for none.
    """

    registers: bool = True
    maxactive: int = 0
    condition: str = ""


class Arming:
    """What arms the probes of a session.

    Args:
        session: Its ``probes`` are changed here and nowhere else.

    Attributes:
        pace: How long it takes, as measured.
        works: What is being done to groups, by their names; see ``groups``.
    """

    def __init__(self, session: Session) -> None:
        self.pace = Pace()
        self.works: dict[str, GroupWork] = {}
        self._session = session
        self._locks: dict[ProbeSpec, asyncio.Lock] = {}

    async def arm(self, spec: ProbeSpec, options: Options) -> Probe:
        """See ``Session.arm``."""
        session = self._session
        async with self._locked([spec]):
            known = session.probes.get(spec)
            if known is not None and known.state is ProbeState.ARMED:
                return known
            probe, reads = await self._plan_probe(spec, options)
            session.probes[spec] = probe
            session.tell(Change.PROBES)
            try:
                place = await self._checked_place(spec)
                begin = time.monotonic()
                await session.request(
                    "arm",
                    answered=lambda answer: self._armed([(probe, answer)]),
                    **_request(probe, place, reads, options),
                )
                self.pace.armed(1, time.monotonic() - begin)
            except KexploreError as error:
                self._failed(probe, error)
                session.tell(Change.PROBES)
                raise
            return probe

    async def arm_many(self, specs: Sequence[ProbeSpec], options: Options, group: str) -> list[Probe]:
        """Arm probes by one request; those that are armed already stay as they are.

        Args:
            specs: ``protocol.MOST_AT_ONCE`` of them at most, each once.
            options: Of all of them.
            group: What they belong to from now on.

        Returns:
            The probes in the order of ``specs``; what could not be armed is FAILED and says why.

        Raises:
            AgentError: The agent took none of them: it is gone, or the request means nothing to it.
        """
        session = self._session
        async with self._locked(specs):
            wanted: list[tuple[Probe, Message]] = []
            for spec in specs:
                known = session.probes.get(spec)
                if known is None or known.state is ProbeState.FAILED:
                    await self._add(spec, options, group, wanted)
                    await asyncio.sleep(0)  # hundreds of prototypes: whoever shows the session gets his turn
            session.tell(Change.PROBES)
            try:
                if wanted:
                    begin = time.monotonic()
                    await session.request(
                        "arm_many",
                        answered=lambda answer: self._armed(
                            [(probe, result) for (probe, _), result in zip(wanted, answer["results"], strict=True)]
                        ),
                        probes=[request for _, request in wanted],
                    )
                    self.pace.armed(len(wanted), time.monotonic() - begin)
            except KexploreError:
                for probe, _ in wanted:
                    session.probes.pop(probe.spec, None)
                session.tell(Change.PROBES)
                raise
            return [session.probes[spec] for spec in specs]

    async def _add(self, spec: ProbeSpec, options: Options, group: str, wanted: list[tuple[Probe, Message]]) -> None:
        """A new probe; where it can be armed its request is wanted."""
        try:
            probe, reads = await self._plan_probe(spec, options)
            self._session.probes[spec] = probe
            wanted.append((probe, _request(probe, await self._checked_place(spec), reads, options)))
        except KexploreError as error:
            probe = self._session.probes.setdefault(spec, Probe(spec, None, ()))
            self._failed(probe, error)
        probe.group = group

    async def disarm(self, specs: Collection[ProbeSpec]) -> list[Probe]:
        """Disarm probes, several by one request, and forget them; their events stay in the journal.

        Args:
            specs: ``protocol.MOST_AT_ONCE`` of them at most.

        Returns:
            Those that there were, with their final counters.

        Raises:
            AgentError: The agent could not disarm them.
        """
        session = self._session
        async with self._locked(specs):
            probes = [session.probes[spec] for spec in specs if spec in session.probes]
            armed = {probe.number: probe for probe in probes if probe.number is not None}
            if armed:
                for probe in armed.values():
                    probe.state = ProbeState.DISARMING
                session.tell(Change.PROBES)
                for number, counters in (await self._disarm(list(armed))).items():
                    session.tally.disarmed(armed[number], counters)
            for probe in probes:
                probe.state, probe.rate = ProbeState.DISARMED, 0.0
                session.probes.pop(probe.spec, None)
            session.tell(Change.PROBES)
            return probes

    async def _disarm(self, numbers: list[int]) -> dict[int, Counters]:
        begin = time.monotonic()
        if len(numbers) == 1:
            answer = await self._session.request("disarm", probe=numbers[0])
            answer = {"counters": {numbers[0]: answer["counters"]}}
        else:
            answer = await self._session.request("disarm_many", probes=numbers)
        self.pace.disarmed(len(numbers), time.monotonic() - begin)
        return {int(number): Counters(*counters) for number, counters in answer["counters"].items()}

    def scope(self, probe: Probe) -> Scope:
        """What a filter may name at a probe."""
        return Scope(probe.spec, probe.fields, self._session.opened().machine)

    async def check_filter(self, spec: ProbeSpec, condition: str) -> Filter | None:
        """What a filter would mean at a place where no probe is armed yet; None for the empty one.

        Raises:
            FilterError: It means nothing there.
            KexploreError: There is no such place.
        """
        _, fields, _ = await self._plan(spec, self._session.resolve(spec))
        return self._compile(spec, fields, condition)

    async def set_filter(self, spec: ProbeSpec, condition: str) -> Probe:
        """Put another filter on an armed probe, which goes on counting.

        Args:
            spec: The probe.
            condition: The filter; "" for none.

        Raises:
            FilterError: The condition means nothing at this probe.
            AgentError: The probe is not armed, or the filter was refused; it is as it was.
        """
        session = self._session
        async with self._locked([spec]):
            probe = session.probes.get(spec)
            if probe is None or probe.number is None:
                raise AgentError(f"{spec} is not armed", "arm it first")
            chosen = self._compile(spec, probe.fields, condition)

            def answered(answer: Message) -> None:
                probe.filter = chosen
                session.tell(Change.PROBES)

            await session.request(
                "filter", answered=answered, probe=probe.number, filter=chosen and chosen.to_request()
            )
            return probe

    @contextlib.asynccontextmanager
    async def _locked(self, specs: Collection[ProbeSpec]) -> AsyncIterator[None]:
        """Nobody else changes these probes meanwhile."""
        async with contextlib.AsyncExitStack() as stack:
            for spec in sorted(specs, key=str):  # in one order, so that nobody waits for somebody who waits for him
                await stack.enter_async_context(self._locks.setdefault(spec, asyncio.Lock()))
            yield

    def _armed(self, answers: list[tuple[Probe, Message]]) -> None:
        for probe, answer in answers:
            if "probe" in answer:
                self._session.tally.armed(probe, int(answer["probe"]))
            else:
                self._failed(probe, error_of(answer))
        self._session.tell(Change.PROBES)

    def _failed(self, probe: Probe, error: KexploreError) -> None:
        probe.state, probe.error = ProbeState.FAILED, error

    async def _plan_probe(self, spec: ProbeSpec, options: Options) -> tuple[Probe, list[dict[str, Any]]]:
        """A probe that is not armed yet, and what is read at each of its hits."""
        symbol = self._session.resolve(spec)
        prototype, fields, reads = await self._plan(spec, symbol)
        chosen = self._compile(spec, fields, options.condition)
        return Probe(spec, prototype, fields, places.offset_in(spec, symbol), filter=chosen), reads

    async def _plan(
        self, spec: ProbeSpec, symbol: Symbol | None
    ) -> tuple[Prototype | None, tuple[Field, ...], list[dict[str, Any]]]:
        """What to read at each hit."""
        session = self._session
        prototype = session.catalog.prototype(symbol) if session.catalog and symbol else None
        offset = places.offset_in(spec, symbol)
        inlined = await session.debuginfo.arguments_at(symbol, offset) if symbol and offset else ()
        return prototype, *plan_reads(spec, prototype, CONVENTIONS.get(session.opened().machine), offset, inlined)

    def _compile(self, spec: ProbeSpec, fields: tuple[Field, ...], condition: str) -> Filter | None:
        if not condition.strip():
            return None
        return compile_filter(condition, Scope(spec, fields, self._session.opened().machine))

    async def _checked_place(self, spec: ProbeSpec) -> dict[str, Any]:
        """The place as the protocol has it; what the kernel would refuse vaguely is refused with the exact cause."""
        session = self._session
        refusal = session.opened().refusal()
        if refusal is not None:
            raise refusal
        symbol = session.resolve(spec)
        if session.catalog is not None:
            places.check(session.catalog, spec, symbol)
            if symbol is not None:
                await session.code.check(session.catalog, spec, symbol, places.offset_in(spec, symbol))
        if spec.address is not None:
            return {"address": spec.address}
        return {"symbol": spec.symbol, "module": spec.module or (symbol and symbol.module) or "", "offset": spec.offset}


def _request(probe: Probe, place: dict[str, Any], reads: list[dict[str, Any]], options: Options) -> Message:
    """The members of a request that arms a probe."""
    wanted = {
        **place, "kind": probe.spec.kind.value, "values": reads, "registers": options.registers,
        "maxactive": options.maxactive,
    }  # fmt: skip
    return {"probe": wanted, "filter": probe.filter and probe.filter.to_request()}
