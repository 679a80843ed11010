"""The guard: how often probes fire, what that costs the machine, and what is done about those that cost too much.

A probe may spend a second's worth of its budget at once, so that a burst is nobody's concern; one that has spent more
than that within the last second is **sampled**: enabled for a slice of each second only. What it does the rest of the
time is an estimate from then on, and told as one. One that is over budget even so is **stopped**. A sampled one that
has calmed down runs again.

This module decides, from counts and times that it is given; ``throttle`` acts.
"""

from __future__ import annotations

import collections
import enum
import math
from typing import Any, Deque, Dict, List, Mapping, NamedTuple, Optional, Tuple

from explorer.agent import budget, hit_cost
from explorer.agent.protocol import Message

SLICE = 0.05
"""Seconds that a sampled probe is enabled at a time."""
PERIOD = 1.0
"""Seconds between two slices of a probe, where few are sampled."""
_LEAST_PERIOD = 0.125
"""Seconds between two slices of whichever probes: with more than eight sampled, each has to wait longer."""
_WINDOW = 1.0
_FIRST_REPORT = 0.5
"""Seconds after arming."""
_PROOF = 2
"""Slices that show a probe to be over budget before it is stopped."""
_CALM = 3
"""Slices that show it to be far below before it runs again."""
_TELLING = 256
"""Events taken out of the buffers in one go from which their cost can be told: below, it is that of looking at all."""


class State(str, enum.Enum):
    """What the guard lets a probe do."""

    RUNNING = "running"
    SAMPLED = "sampled"
    STOPPED = "stopped"


class _Sample(NamedTuple):
    time: float
    hits: int
    decoded: int


class _Watched:
    """One probe."""

    def __init__(self, now: float, kernel_ns: int) -> None:
        self.state = State.RUNNING
        self.armed_at = now
        self.kernel_ns = kernel_ns
        self.rate = 0.0
        self.decoded_share = 1.0
        self.spent_hits = 0.0
        """Per second, a burst divided by a second at least."""
        self.enabled = 1.0
        """The part of the time that it is enabled."""
        self.unseen = 0.0
        """Hits that it probably had while it was not."""
        self.slices: Deque[float] = collections.deque(maxlen=_CALM)
        self.off_since = now
        self.cause = ""
        self._samples: Deque[_Sample] = collections.deque([_Sample(now, 0, 0)])

    def sample(self, now: float, hits: int, decoded: int) -> None:
        """What it has counted by now, while it runs."""
        samples = self._samples
        samples.append(_Sample(now, hits, decoded))
        while len(samples) > 2 and samples[1].time <= now - _WINDOW:
            samples.popleft()
        first = samples[0]
        seconds = max(now - first.time, 1e-3)
        new = hits - first.hits
        self.rate = new / seconds
        self.spent_hits = new / max(seconds, _WINDOW)
        self._look_at_decoded(new, decoded - first.decoded)

    def slept_and_sliced(self, now: float, hits: int, decoded: int, seconds: float, enabled: float) -> None:
        """What a slice has shown: hits in so many seconds; it was enabled for longer, switching included."""
        elapsed = max(now - self.off_since, enabled)
        self.slices.append(hits / seconds)
        self.rate = sum(self.slices) / len(self.slices)
        self.unseen += hits / seconds * (elapsed - enabled)
        self.enabled = enabled / elapsed
        self.off_since = now
        self._look_at_decoded(hits, decoded)

    def run(self, now: float, hits: int, decoded: int) -> None:
        """It is enabled for good again."""
        self.state, self.enabled = State.RUNNING, 1.0
        self._samples = collections.deque([_Sample(now, hits, decoded)])

    def _look_at_decoded(self, hits: int, decoded: int) -> None:
        if hits:
            self.decoded_share = min(1.0, decoded / hits)


class Guard:
    """Decides for all armed probes.

    Attributes:
        budget: What they may do.
    """

    def __init__(self) -> None:
        self.budget = budget.DEFAULT
        self._watched: Dict[int, _Watched] = {}
        self._decode_ns = float(hit_cost.DECODE_NS)
        self._decoded_since_look = 0
        self._told: Dict[int, Tuple[float, Message]] = {}
        self._next_slice = 0.0
        self._partners: Dict[int, int] = {}

    def reconsider(self, new: budget.Budget) -> None:
        """From now on this is the budget: what was stopped for the old one is sampled, and its slices decide."""
        self.budget = new
        for probe in self.of(State.STOPPED):
            watched = self._watched[probe]
            if not watched.cause:
                watched.state, watched.enabled = State.SAMPLED, SLICE / PERIOD
                watched.slices.clear()

    def open(self, probe: int, now: float, kernel_ns: int) -> None:
        """A probe has been armed; each of its hits takes so much in the kernel, as far as that is known."""
        self._watched[probe] = _Watched(now, kernel_ns)

    def price(self, probe: int, kernel_ns: int) -> None:
        """Now it is known better."""
        self._watched[probe].kernel_ns = kernel_ns

    def pair(self, entry: int, returns: int) -> None:
        """These two make calls: they run, are sampled and are stopped together, or nothing could be paired."""
        self._partners[entry], self._partners[returns] = returns, entry

    def together(self, probe: int) -> List[int]:
        """A probe and what has to be enabled with it, in the order of enabling: entries last."""
        partner = self._partners.get(probe)
        return [probe] if partner is None else sorted((probe, partner), reverse=True)

    def close(self, probe: int) -> None:
        """It has been disarmed."""
        self._watched.pop(probe, None)
        self._told.pop(probe, None)
        self._partners.pop(self._partners.pop(probe, probe), None)

    def of(self, state: State) -> List[int]:
        """The probes in a state."""
        return [probe for probe, watched in self._watched.items() if watched.state is state]

    def decoded(self, events: int, seconds: float) -> None:
        """So many events were taken out of the buffers in so much processor time."""
        self._decoded_since_look += events
        if events >= _TELLING:
            self._decode_ns += (seconds * 1e9 / events - self._decode_ns) / 4

    def may_be_overspent(self) -> bool:
        """Whether what came out of the buffers since the last look may be a second's budget: then another is due."""
        events = self._decoded_since_look
        kernel_ns = max((watched.kernel_ns for watched in self._watched.values()), default=0)
        return self.budget.exceeded_by(events, events * (kernel_ns + self._decode_ns) / 1e9)

    def look(self, now: float, counts: Mapping[int, Tuple[int, int]]) -> Dict[int, State]:
        """What has to change.

        Args:
            now: Seconds of the monotonic clock.
            counts: Hits and decoded events of every probe since it was armed.
        """
        self._decoded_since_look = 0
        for probe in self.of(State.RUNNING):
            self._watched[probe].sample(now, *counts[probe])
        changes: Dict[int, State] = {}
        for probe, watched in self._watched.items():
            worse = self._worse(watched)
            if worse is not None and self.budget.rate is not None and self._hits(watched) > self.budget.rate:
                self._change(changes, probe, worse)
        self._restrain(changes)
        if not changes:
            self._relax(changes)
        return changes

    def changed(self, probe: int, state: State, now: float, counts: Tuple[int, int], cause: str = "") -> None:
        """What had to change did.

        Args:
            probe: Which.
            state: Its state now.
            now: Seconds of the monotonic clock.
            counts: As for ``look``, of this probe.
            cause: Why it was stopped, where it was not for its rate.
        """
        watched = self._watched[probe]
        if state is State.RUNNING:
            watched.run(now, *counts)
            return
        if watched.state is State.RUNNING:
            watched.off_since = now
            watched.slices.clear()
            watched.enabled = SLICE / PERIOD
        if state is State.STOPPED:
            watched.enabled = 0.0
        watched.state, watched.cause = state, cause
        self._next_slice = max(self._next_slice, now + _LEAST_PERIOD)

    def due(self, now: float) -> Optional[int]:
        """The probe whose slice is due."""
        sampled = self.of(State.SAMPLED)
        if not sampled or now < self._next_slice:
            return None
        self._next_slice = now + max(_LEAST_PERIOD, PERIOD / len(sampled))
        return min(sampled, key=lambda probe: self._watched[probe].off_since)

    def next_slice(self) -> float:
        """When a slice is due, in seconds of the monotonic clock; infinite when nothing is sampled."""
        return self._next_slice if self.of(State.SAMPLED) else math.inf

    def sliced(self, probe: int, now: float, hits: int, decoded: int, seconds: float, enabled: float) -> None:
        """A slice is over.

        Args:
            probe: Whose.
            now: Seconds of the monotonic clock.
            hits: Between the first and the second look at its count while it was enabled.
            decoded: How many events came out.
            seconds: Between these looks.
            enabled: Seconds that it was enabled at most, the time that switching takes included.
        """
        self._watched[probe].slept_and_sliced(now, hits, decoded, seconds, enabled)

    def is_young(self, now: float) -> bool:
        """Whether a probe is so new that it has to be looked at more often."""
        return any(now - watched.armed_at < _WINDOW for watched in self._watched.values())

    def news(self, now: float) -> Dict[int, Message]:
        """What changed since it was told last: a change of state at once, figures once a second."""
        news: Dict[int, Message] = {}
        for probe, watched in self._watched.items():
            report = self._report(watched)
            if probe not in self._told:
                if watched.state is State.RUNNING and now - watched.armed_at < _FIRST_REPORT:
                    continue
            else:
                told_at, told = self._told[probe]
                if report == told or (report["state"] == told["state"] and now - told_at < PERIOD):
                    continue
            self._told[probe] = now, report
            news[probe] = report
        return news

    def _report(self, watched: _Watched) -> Dict[str, Any]:
        return {
            "state": watched.state.value,
            "rate": round(watched.rate, 1),
            "cost": round(watched.rate * self._hit_ns(watched) / 1e9, 6),
            "enabled": round(watched.enabled, 3),
            "unseen": round(watched.unseen),
            "cause": watched.cause,
        }

    def _hit_ns(self, watched: _Watched) -> float:
        return watched.kernel_ns + watched.decoded_share * self._decode_ns

    def _hits(self, watched: _Watched) -> float:
        """Per second, as it is now."""
        if watched.state is State.RUNNING:
            return watched.spent_hits
        return watched.rate * watched.enabled

    def _spending(self, watched: _Watched) -> float:
        """The share of a processor that it takes as it is now."""
        return self._hits(watched) * self._hit_ns(watched) / 1e9

    def _worse(self, watched: _Watched) -> Optional[State]:
        """What could be done about a probe at this moment."""
        if watched.state is State.RUNNING:
            return State.SAMPLED
        if watched.state is State.SAMPLED and len(watched.slices) >= _PROOF:
            return State.STOPPED
        return None

    def _restrain(self, changes: Dict[int, State]) -> None:
        """Do something about the dearest probes until the rest is within the budget."""
        share = self.budget.share
        if share is None:
            return
        while True:
            spending = {p: self._spending(w) for p, w in self._watched.items() if p not in changes}
            if sum(spending.values()) <= share:
                return
            dearest = max(spending, key=lambda probe: spending[probe])
            worse = self._worse(self._watched[dearest])
            if worse is None:
                return  # its next slices will tell; no cheaper one is held back in its place
            self._change(changes, dearest, worse)

    def _relax(self, changes: Dict[int, State]) -> None:
        """Let one run again that could do so at half the budget."""
        total = sum(map(self._spending, self._watched.values()))
        for probe in self.of(State.SAMPLED):
            watched = self._watched[probe]
            if len(watched.slices) < _CALM:
                continue
            rate = max(watched.slices)
            cost = total - self._spending(watched) + rate * self._hit_ns(watched) / 1e9
            if self.budget.share is not None and cost > self.budget.share / 2:
                continue
            if self.budget.rate is not None and rate > self.budget.rate / 2:
                continue
            self._change(changes, probe, State.RUNNING)
            return

    def _change(self, changes: Dict[int, State], probe: int, state: State) -> None:
        changes.update((each, state) for each in self.together(probe) if self._watched[each].state is not state)
