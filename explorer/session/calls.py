"""Whole calls of a function, from the events of a probe at its entry and one at its return.

The pairing is done here and not by the agent: what has root stays small, recordings of what it sends replay the calls,
and the guard keeps the rate of events to what can be sent anyway. What could not be sent, or was lost, the agent marks
as a gap, across which nothing is paired. Two probes are needed even where a return probe can record arguments (since
6.9): nothing that it can record tells when the call began.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from explorer.session import guard
from explorer.session.events import Called, Event
from explorer.session.latencies import Latencies
from explorer.session.pairing import Call, Pairing
from explorer.session.probe import Counters, Probe
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from symbols.abi.conventions import Convention
from symbols.errors import Category, KexploreError

PATIENCE = 30.0
"""Seconds after which a call without a return is told; it is paired even so if one comes."""


def halves(spec: ProbeSpec) -> tuple[ProbeSpec, ProbeSpec]:
    """The two probes that a call is made of: at the entry, at the return."""
    return dataclasses.replace(spec, kind=ProbeKind.ENTRY), dataclasses.replace(spec, kind=ProbeKind.RETURN)


def join(spec: ProbeSpec, entry: Probe, returns: Probe, convention: Convention | None) -> Probe:
    """Make a call of two probes; both read the stack pointer besides, as their last value.

    Args:
        spec: The call's.
        entry: As it would be armed by itself.
        returns: Likewise.
        convention: Of the kernel's architecture.

    Raises:
        KexploreError: It is not known where this architecture keeps its stack pointer.
    """
    if convention is None:
        raise KexploreError(
            "calls cannot be followed on this architecture: its stack pointer is not known",
            "arm the entry and the return probe by themselves",
            Category.KERNEL_CANNOT,
        )
    made = Calls(entry, returns, convention.popped)
    probe = Probe(spec, entry.prototype, (*entry.fields, *returns.fields), entry.offset, calls=made)
    for part in made.parts:
        part.reads.append({"register": convention.stack_pointer, "dereference": [], "type": "u64"})
        part.part_of = probe
    return probe


class Calls:
    """The calls of one function.

    Args:
        entry: The probe at its entry, whose last value is the stack pointer.
        returns: The probe at its return, likewise.
        popped: How much higher the stack pointer is there, in bytes.

    Attributes:
        latencies: Of all that were seen whole.
    """

    def __init__(self, entry: Probe, returns: Probe, popped: int) -> None:
        self.entry, self.returns = entry, returns
        self.latencies = Latencies()
        self._pairing: Pairing[Event] = Pairing(popped)

    @property
    def parts(self) -> tuple[Probe, Probe]:
        """Both probes, the entry's first."""
        return self.entry, self.returns

    @property
    def counters(self) -> Counters:
        """Of both probes together."""
        return self.entry.counters + self.returns.counters

    @property
    def rate(self) -> float:
        """Hits per second of both probes together."""
        return self.entry.rate + self.returns.rate

    @property
    def guarded(self) -> guard.Guarded | None:
        """What the guard says of both probes, which it holds back together."""
        return guard.together([part.guard for part in self.parts if part.guard is not None])

    @property
    def seen(self) -> tuple[int, int]:
        """How many calls were seen whole, and how many are under way."""
        return self.latencies.count, self._pairing.under_way

    @property
    def returns_filtered(self) -> bool:
        """Whether a call without a return may have one that did not pass the filter."""
        return self.returns.filter is not None

    def take(self, event: Event) -> None:
        """An event of one of the two probes."""
        pointer = event.raw[-1]
        assert isinstance(pointer, int)  # a register: it cannot fault
        if event.probe is self.entry:
            self._pairing.enter(event, pointer)
        else:
            self._pairing.leave(event, pointer)

    def advance(self, probe: Probe, until: int, since: int, now: float) -> list[Event]:
        """The calls that have ended by a time, as events of ``probe``.

        Args:
            probe: The probe that stands for both.
            until: As for ``Pairing.advance``.
            since: As for ``Pairing.cut``.
            now: Seconds of the monotonic clock.
        """
        self._pairing.cut(since)
        return self._told(probe, self._pairing.advance(until, now)) + self.overdue(probe, now)

    def overdue(self, probe: Probe, now: float) -> list[Event]:
        """The calls that have been under way for long, each told once."""
        return self._told(probe, self._pairing.overdue(now, PATIENCE))

    def finish(self, probe: Probe, now: float) -> list[Event]:
        """Both are disarmed: the last calls, and those that have not returned."""
        return self._told(probe, self._pairing.finish(now))

    def figures(self) -> dict[str, Any]:
        """The member ``calls`` of the summary of ``trace --json``; nanoseconds."""
        counts = self._pairing.counts
        return {
            "seen_whole": counts.calls, "no_return": counts.left, "no_entry": counts.strays,
            "not_paired_across_gaps": counts.cut_entries + counts.cut_returns, "under_way": self._pairing.under_way,
            "latency_ns": {
                "p50": self.latencies.percentile(0.5), "p95": self.latencies.percentile(0.95),
                "max": self.latencies.longest if self.latencies.count else None,
            },
            "histogram": [[bucket.least, bucket.below, bucket.calls] for bucket in self.latencies.histogram()],
        }  # fmt: skip

    def _told(self, probe: Probe, calls: Iterable[Call[Event]]) -> list[Event]:
        events: list[Event] = []
        for call in calls:
            if call.latency is not None:
                self.latencies.add(call.latency)
            elif self.returns_filtered:
                continue  # most have returned, and did not pass
            events.append(self._event(probe, call))
        return events

    def _event(self, probe: Probe, call: Call[Event]) -> Event:
        entry, returned = call.entry, call.returned
        raw = entry.raw[:-1] + (returned.raw[:-1] if returned is not None else ())
        called = Called(entry.time, call.latency, call.depth, "" if returned is not None else call.outcome.value)
        return dataclasses.replace(
            entry, probe=probe, raw=raw, call=called, time=entry.time if returned is None else returned.time
        )
