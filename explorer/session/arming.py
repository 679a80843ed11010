"""Arms and disarms the probes of a session, one or several by one request, and puts filters on them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import time
from collections.abc import AsyncIterator, Collection, Sequence
from typing import TYPE_CHECKING

from explorer.agent import protocol
from explorer.agent.protocol import Message
from explorer.errors import AgentError
from explorer.session.agent_client import error_of
from explorer.session.change import Change
from explorer.session.filters.filter import Filter
from explorer.session.filters.of_calls import together
from explorer.session.group_work import GroupWork
from explorer.session.options import Options
from explorer.session.pace import Pace
from explorer.session.planning import Planning, Requests
from explorer.session.probe import Counters, Probe, ProbeState
from explorer.session.probe_spec import ProbeSpec
from symbols.errors import KexploreError

if TYPE_CHECKING:
    from explorer.session.session import Session


class Arming:
    """What arms the probes of a session.

    Args:
        session: Its ``probes`` are changed here and nowhere else.

    Attributes:
        pace: How long it takes, as measured.
        works: What is being done to groups, by their names; see ``groups``.
        planning: What plans them.
    """

    def __init__(self, session: Session) -> None:
        self.pace = Pace()
        self.works: dict[str, GroupWork] = {}
        self.planning = Planning(session)
        self._session = session
        self._locks: dict[ProbeSpec, asyncio.Lock] = {}

    async def arm(self, spec: ProbeSpec, options: Options) -> Probe:
        """See ``Session.arm``."""
        session = self._session
        async with self._locked([spec]):
            known = session.probes.get(spec)
            if known is not None and known.state is ProbeState.ARMED:
                return known
            return await self._arm(spec, options)

    async def rearm(self, spec: ProbeSpec, options: Options) -> Probe:
        """Arm a probe anew in another way; its group and its filter stay, its counters begin anew.

        Args:
            spec: The probe.
            options: How; their condition is not looked at.

        Raises:
            KexploreError: It is not armed, or cannot be armed so, with the cause. Then it is armed as it was before,
                or still, unless that is refused now: then this is the error that is raised, and the probe is FAILED.
        """
        async with self._locked([spec]):
            before = self._session.probes.get(spec)
            if before is None or before.state is not ProbeState.ARMED:
                raise AgentError(f"{spec} is not armed", "arm it first")
            condition = before.filter.text if before.filter is not None else ""
            if options.needs_bpf:  # which may have to be compiled first: until then it stays armed
                await self._session.request("prepare")
            await self._disarm_all([before])
            try:
                probe = await self._arm(spec, dataclasses.replace(options, condition=condition), before.group)
            except KexploreError:
                await self._arm(spec, dataclasses.replace(before.options, condition=condition), before.group)
                raise
            return probe

    async def _arm(self, spec: ProbeSpec, options: Options, group: str = "") -> Probe:
        """Arm a probe in the place that it has in the list."""
        session = self._session
        probe = await self.planning.probe(spec, options)
        probe.group = group
        session.probes[spec] = probe
        session.tell(Change.PROBES)
        try:
            await self._ask(await self.planning.requests(probe))
        except KexploreError as error:
            self._failed(probe, error)
            session.tell(Change.PROBES)
            raise
        if probe.error is not None:  # of one end of a call
            await self._give_up([probe])
            raise probe.error
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
            wanted: list[Requests] = []
            for spec in specs:
                known = session.probes.get(spec)
                if known is None or known.state is ProbeState.FAILED:
                    await self._add(spec, options, group, wanted)
                    await asyncio.sleep(0)  # hundreds of prototypes: whoever shows the session gets his turn
            session.tell(Change.PROBES)
            most = protocol.MOST_AT_ONCE // 2  # a call is two to the agent
            try:
                for start in range(0, len(wanted), most):
                    await self._ask([each for requests in wanted[start : start + most] for each in requests], many=True)
            except KexploreError:
                for requests in wanted:
                    session.probes.pop(_whole(requests[0][0]).spec, None)
                session.tell(Change.PROBES)
                raise
            await self._give_up([_whole(requests[0][0]) for requests in wanted])
            return [session.probes[spec] for spec in specs]

    async def _ask(self, wanted: Requests, *, many: bool = False) -> None:
        """Have the agent arm probes; of several what was refused is FAILED, of a single one it is raised."""
        begin = time.monotonic()
        if len(wanted) == 1 and not many:
            [(probe, request)] = wanted
            answered = functools.partial(self._armed, [probe])
            await self._session.request("arm", answered=lambda answer: answered([answer]), **request)
        else:
            answered = functools.partial(self._armed, [probe for probe, _ in wanted])
            await self._session.request(
                "arm_many",
                answered=lambda answer: answered(answer["results"]),
                probes=[request for _, request in wanted],
            )
        self.pace.armed(len(wanted), time.monotonic() - begin)

    async def _give_up(self, probes: list[Probe]) -> None:
        """Where one end of a call was refused, disarm the other."""
        failed = [probe for probe in probes if probe.state is ProbeState.FAILED]
        armed = {part.number: part for probe in failed for part in probe.parts if part.state is ProbeState.ARMED}
        await self._end({number: part for number, part in armed.items() if number is not None})

    async def _add(self, spec: ProbeSpec, options: Options, group: str, wanted: list[Requests]) -> None:
        """A new probe; where it can be armed its requests are wanted."""
        try:
            probe = await self.planning.probe(spec, options)
            self._session.probes[spec] = probe
            wanted.append(await self.planning.requests(probe))
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
            await self._disarm_all(probes)
            for probe in probes:
                session.probes.pop(probe.spec, None)
            session.tell(Change.PROBES)
            return probes

    async def _disarm_all(self, probes: Sequence[Probe]) -> None:
        session = self._session
        armed = {part.number: part for probe in probes for part in probe.parts if part.number is not None}
        if armed:
            for part in armed.values():
                part.state = _whole(part).state = ProbeState.DISARMING
            session.tell(Change.PROBES)
            await self._end(armed)
        before = session.journal.last_number
        for probe in probes:
            session.tally.finished(probe)
        if session.journal.last_number > before:
            session.tell(Change.EVENTS)
        for probe in probes:
            if probe.number is None:  # disarmed at the deadline, or never armed
                session.tally.disarmed(probe, probe.counters)
            probe.state, probe.rate = ProbeState.DISARMED, 0.0

    async def _end(self, armed: dict[int, Probe]) -> None:
        """Have the agent disarm probes by their numbers: entries before their returns, so that calls can still end."""
        numbers = list(armed)
        for start in range(0, len(numbers), protocol.MOST_AT_ONCE):
            counted = await self._disarm(numbers[start : start + protocol.MOST_AT_ONCE])
            for number, counters in counted.items():
                armed[number].state = ProbeState.DISARMED
                self._session.tally.disarmed(armed[number], counters)

    async def _disarm(self, numbers: list[int]) -> dict[int, Counters]:
        begin = time.monotonic()
        if len(numbers) == 1:
            answer = await self._session.request("disarm", probe=numbers[0])
            answer = {"counters": {numbers[0]: answer["counters"]}}
        else:
            answer = await self._session.request("disarm_many", probes=numbers)
        self.pace.disarmed(len(numbers), time.monotonic() - begin)
        return {int(number): Counters(*counters) for number, counters in answer["counters"].items()}

    async def check_filter(self, spec: ProbeSpec, condition: str) -> Filter | None:
        """What a filter would mean at a place where no probe is armed yet; None for the empty one.

        Raises:
            FilterError: It means nothing there.
            KexploreError: There is no such place.
        """
        return (await self.planning.probe(spec, Options(condition=condition))).filter

    def understand(self, probe: Probe, condition: str) -> Filter | None:
        """What a filter would mean at a probe; None for the empty one.

        Raises:
            FilterError: It means nothing there.
        """
        return together(self.planning.filters(probe, condition))

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
            if probe is None or probe.state is not ProbeState.ARMED:
                raise AgentError(f"{spec} is not armed", "arm it first")
            before = [part.filter for part in probe.parts]
            try:
                await self._filter(probe, self.planning.filters(probe, condition))
            except AgentError:
                if probe.calls is not None:  # one end may have taken it
                    await self._filter(probe, before)
                raise
            return probe

    async def _filter(self, probe: Probe, chosen: Sequence[Filter | None]) -> None:
        for part, each in zip(probe.parts, chosen, strict=True):
            if probe.calls is None or part.filter != each:
                answered = functools.partial(self._filtered, probe, part, each)
                request = each and each.to_request()
                await self._session.request("filter", answered=answered, probe=part.number, filter=request)

    def _filtered(self, probe: Probe, part: Probe, chosen: Filter | None, answer: Message) -> None:
        part.filter = chosen
        probe.filter = together(each.filter for each in probe.parts)
        self._session.tell(Change.PROBES)

    @contextlib.asynccontextmanager
    async def _locked(self, specs: Collection[ProbeSpec]) -> AsyncIterator[None]:
        """Nobody else changes these probes meanwhile."""
        async with contextlib.AsyncExitStack() as stack:
            for spec in sorted(specs, key=str):  # in one order, so that nobody waits for somebody who waits for him
                await stack.enter_async_context(self._locks.setdefault(spec, asyncio.Lock()))
            yield

    def _armed(self, probes: Sequence[Probe], answers: Sequence[Message]) -> None:
        for probe, answer in zip(probes, answers, strict=True):
            if "probe" in answer:
                # Recordings of before say neither.
                probe.mechanism, probe.mechanism_cause = answer.get("mechanism", ""), answer.get("cause", "")
                probe.engine = answer.get("engine", "tracefs")
                told = probe.engine != "bpf" or self._session.opened().kernel_series >= protocol.BPF_MISSED_SINCE
                probe.missed_is_known = told and probe.mechanism != "fprobe"
                self._session.tally.armed(probe, int(answer["probe"]))
            else:
                self._failed(probe, error_of(answer))
        for probe in {_whole(probe): None for probe in probes if probe.part_of is not None}:
            refused = next((part.error for part in probe.parts if part.error is not None), None)
            if refused is None:
                probe.state = ProbeState.ARMED
            else:
                self._failed(probe, refused)
        self._session.tell(Change.PROBES)

    def _failed(self, probe: Probe, error: KexploreError) -> None:
        probe.state, probe.error = ProbeState.FAILED, error


def _whole(part: Probe) -> Probe:
    return part.part_of or part
