"""Whether the returns of a function keep up with its entries; where they do not, something was not seen.

The kernel counts the hits of both, whatever is filtered or lost afterwards. They differ by the calls under way when the
second of the two was armed and by those under way now, of which it follows ``maxactive`` at most. What it could not
follow it counts as missed. A difference beyond that which lasts is an alarm; so is a single missed return.
"""

from __future__ import annotations

import collections
import dataclasses

from explorer.session.guard import State
from explorer.session.probe import Alarm, Probe, ProbeState
from explorer.session.probe_spec import ProbeKind

MOST_MAXACTIVE = 4096
"""What the kernel takes (KRETPROBE_MAXACTIVE_MAX, kernel/trace/trace_kprobe.c)."""
_SETTLED = 1.5
"""Seconds after arming from which both counts are as the kernel has them."""
_LASTING = 3.0
"""Seconds that a difference must last: what a filter of the kernel's rejects is counted once a second only."""


def followed(maxactive: int, cpus: int) -> int:
    """How many calls the kernel follows at once: what was asked for, or its own choice (kernel/kprobes.c)."""
    return maxactive or max(10, 2 * cpus)


def larger(maxactive: int, cpus: int) -> int:
    """The number to try when this one was too small: the next power of two from eight times as many."""
    return min(MOST_MAXACTIVE, 1 << (8 * followed(maxactive, cpus) - 1).bit_length())


@dataclasses.dataclass(slots=True)
class _Pair:
    """An entry and a return probe of one function."""

    entry: Probe
    returns: Probe
    armed: float
    start: int | None = None
    excesses: collections.deque[tuple[float, int]] = dataclasses.field(default_factory=collections.deque)

    def look(self, now: float) -> int | None:
        """How many more entries than returns there have been for a while; None before that is known."""
        held_back = any(part.guard is not None and part.guard.state is not State.RUNNING for part in self._parts)
        if held_back:  # counts stand still, not both at the same moment
            self.start, self.armed = None, now
            self.excesses.clear()
        if held_back or now - self.armed < _SETTLED:
            return None
        excess = self.entry.counters.hits - self.returns.counters.hits
        if self.start is None:
            self.start = excess
        self.excesses.append((now, excess - self.start))
        while len(self.excesses) > 1 and self.excesses[1][0] <= now - _LASTING:
            self.excesses.popleft()
        if now - self.excesses[0][0] < _LASTING:
            return None
        return min((each for _, each in self.excesses), key=abs)

    @property
    def _parts(self) -> tuple[Probe, Probe]:
        return self.entry, self.returns


class Balances:
    """The alarms of a session's probes.

    Attributes:
        cpus: Of the kernel that is looked at.
    """

    def __init__(self) -> None:
        self.cpus = 1
        self._returns: list[Probe] = []
        self._entries: list[Probe] = []
        self._pairs: list[_Pair] = []

    def armed(self, probe: Probe, now: float) -> None:
        """A probe has been armed; if one is at the other end of its function, both are compared from now on."""
        if probe.spec.offset or probe.offset:
            return
        returns = probe.spec.kind is ProbeKind.RETURN
        (self._returns if returns else self._entries).append(probe)
        for other in self._entries if returns else self._returns:
            if _place(other) == _place(probe) and other.part_of is probe.part_of:
                entry, end = (other, probe) if returns else (probe, other)
                self._pairs.append(_Pair(entry, end, now))

    def disarmed(self, probe: Probe) -> None:
        """It is armed no longer; its alarm stays as it was."""
        for probes in (self._returns, self._entries):
            if probe in probes:
                probes.remove(probe)
        self._pairs = [pair for pair in self._pairs if probe is not pair.entry and probe is not pair.returns]

    def look(self, now: float) -> bool:
        """Compare; whether an alarm is new."""
        new = False
        for probe in self._returns:
            if probe.counters.missed:
                new |= self._raise(probe, f"{probe.counters.missed:,} returns missed", self._too_many(probe))
        for pair in self._pairs:
            excess = pair.look(now)
            if excess is None or abs(excess) <= followed(pair.returns.maxactive, self.cpus):
                continue
            if pair.returns.counters.missed:
                continue  # that explains it
            if excess > 0:
                words = "they never return, or leave in a way that no return probe sees"
                new |= self._raise(pair.returns, f"{excess:,} more entries than returns", words)
            else:
                new |= self._raise(pair.returns, f"{-excess:,} more returns than entries", "entries were missed")
        return new

    def _too_many(self, probe: Probe) -> str:
        most = followed(probe.maxactive, self.cpus)
        words = f"more calls were under way at once than the {most} that the kernel follows"
        if probe.part_of is not None and probe.part_of.parts[0].filter is not None:
            words += "; as a filter hides entries, a call may have got the return of a later one"
        return words

    def _raise(self, probe: Probe, what: str, why: str) -> bool:
        owner = probe.part_of or probe
        new = owner.alarm is None
        owner.alarm = Alarm(what, why, larger(probe.maxactive, self.cpus))
        return new and owner.state is not ProbeState.DISARMED


def _place(probe: Probe) -> tuple[object, ...]:
    spec = probe.spec
    return spec.symbol, spec.module, spec.address
