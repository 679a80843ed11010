"""What the agent tells of armed probes: events for the journal, counters, rates, the guard's word."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from typing import Any

from explorer.agent.protocol import Message
from explorer.session.balance import Balances
from explorer.session.change import Change
from explorer.session.events import Event, Journal
from explorer.session.guard import Guarded, State
from explorer.session.probe import Counters, Probe, ProbeState


@dataclasses.dataclass(slots=True)
class _Rate:
    """Hits per second over about a second."""

    since: float
    hits: int


class Tally:
    """What the armed probes of a session counted and saw.

    Args:
        capacity: How many events the journal keeps.

    Attributes:
        journal: The newest events.
        retired: What probes counted that are disarmed by now: their events are still in the journal.
        lost: Events overwritten in the kernel's buffers, over all probes.
        balances: Compares entries with returns.
    """

    def __init__(self, capacity: int) -> None:
        self.journal = Journal(capacity)
        self.retired = Counters()
        self.lost = 0
        self._by_number: dict[int, Probe] = {}
        self._rates: dict[int, _Rate] = {}
        self._since: dict[int, int] = {}
        self._calling: list[Probe] = []
        self.balances = Balances()

    def armed(self, probe: Probe, number: int) -> None:
        """From now on: a probe's first events come right behind the agent's answer."""
        probe.number, probe.state = number, ProbeState.ARMED
        self._by_number[number] = probe
        self._rates[number] = _Rate(time.monotonic(), 0)
        self.balances.armed(probe, time.monotonic())
        if probe.part_of is not None and probe.part_of not in self._calling:
            self._calling.append(probe.part_of)

    def disarmed(self, probe: Probe, counters: Counters) -> None:
        """These are the final counters of a probe; its events stay in the journal."""
        probe.counters = counters
        if probe.number is not None:
            self._sum_up([probe.number])
        self.balances.look(time.monotonic())
        self.balances.disarmed(probe)
        self.retired += counters
        if probe.number is not None:
            self._rates.pop(probe.number, None)

    def finished(self, probe: Probe) -> None:
        """All of a probe is disarmed: what calls have not returned is told."""
        if probe.calls is not None and probe in self._calling:
            self._calling.remove(probe)
            self._append(probe.calls.finish(probe, time.monotonic()))

    def tick(self) -> list[Change]:
        """Bring up to date what time alone changes: rates, calls that do not return, entries and returns compared."""
        now = time.monotonic()
        before = self.journal.last_number
        for probe in self._calling:
            if probe.calls is not None:
                self._append(probe.calls.overdue(probe, now))
        for number, probe in self._by_number.items():
            self._measure(probe, number, now)
        self._sum_up(self._by_number)
        changes = [Change.EVENTS] if self.journal.last_number > before else []
        return [*changes, Change.ALARM] if self.balances.look(now) else changes

    def take(self, batch: Message) -> list[Change]:
        """Take in a ``batch`` of the protocol.

        Returns:
            What changed, to be told in this order.
        """
        changes: list[Change] = []
        self.lost = int(batch["lost"])
        now = time.monotonic()
        for key, counters in batch["counters"].items():
            number = int(key)
            probe = self._by_number.get(number)
            if probe is not None:
                probe.counters = Counters(*counters)
                self._measure(probe, number, now)
        before = self.journal.last_number
        for row in batch["rows"]:
            self._take_row(row)
        self._take_calls(batch, now)
        reports = batch.get("guard", {})
        if batch["counters"] or reports:
            changes.append(Change.PROBES)
        if self._take_guard(reports):
            changes.append(Change.GUARD)
        self._sum_up(map(int, {**batch["counters"], **reports}))
        if self.balances.look(now):
            changes.append(Change.ALARM)
        if self.journal.last_number > before:
            changes.append(Change.EVENTS)
        return changes

    def take_cells(self, message: Message) -> bool:
        """Take in ``cells`` of the protocol; whether they are of a probe that is known."""
        probe = self._by_number.get(message["probe"])
        whole = probe and (probe.part_of or probe)
        if whole is None or whole.aggregate is None:
            return False
        whole.aggregate.take(message)
        return True

    def _take_calls(self, batch: Message, now: float) -> None:
        """The calls that are whole by what the batch says; where it does not say, all of which there are rows."""
        self._since.update((int(key), since) for key, since in batch.get("since", {}).items())
        until = batch.get("until", 1 << 64)
        for probe in self._calling:
            if probe.calls is not None:
                since = max(self._since.get(part.number or 0, 0) for part in probe.parts)
                self._append(probe.calls.advance(probe, until, since, now))

    def _sum_up(self, numbers: Iterable[int]) -> None:
        """Bring the figures of calls up to date with those of their parts."""
        for number in numbers:
            part = self._by_number.get(number)
            if part is not None and (probe := part.part_of) is not None and probe.calls is not None:
                probe.counters, probe.rate, probe.guard = probe.calls.counters, probe.calls.rate, probe.calls.guarded

    def _append(self, events: Iterable[Event]) -> None:
        for event in events:
            self.journal.append(dataclasses.replace(event, number=self.journal.last_number + 1))

    def _take_guard(self, reports: dict[str, Message]) -> bool:
        """Whether one of them says that a probe is held back or no longer is."""
        changed = False
        for key, report in reports.items():
            probe = self._by_number.get(int(key))
            if probe is not None:
                before, probe.guard = probe.guard, Guarded.from_message(report)
                changed |= (before.state if before else State.RUNNING) is not probe.guard.state
        return changed

    def _measure(self, probe: Probe, number: int, now: float) -> None:
        rate = self._rates.get(number)
        if rate is not None and now - rate.since >= 1.0:
            probe.rate = (probe.counters.hits - rate.hits) / (now - rate.since)
            self._rates[number] = _Rate(now, probe.counters.hits)

    def _take_row(self, row: list[Any]) -> None:
        number, moment, cpu, tid, pid, comm, context, values, registers, *stacks = row
        probe = self._by_number.get(number)
        if probe is None:
            return
        event = Event(
            self.journal.last_number + 1, probe, moment, cpu, tid, pid, comm, context, tuple(values), registers,
            stacks=(tuple(stacks[0][0]), tuple(stacks[0][1])) if stacks else None,
        )  # fmt: skip
        if probe.part_of is not None and probe.part_of.calls is not None:
            probe.part_of.calls.take(event)
        else:
            self.journal.append(event)
