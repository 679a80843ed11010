"""What became of every hit: shown, not shown, lost or filtered.

The kernel counts hits per probe (``kprobe_profile``) but losses per buffer, and does not count at all what its own
filters kept out: the agent's own calls, what the probe's filter rejects and, under a focus, everybody else's. So per
probe, what the kernel counted and the agent did not decode is *unexplained*, and is divided between lost and filtered:

* nothing was overwritten: all of it was filtered;
* as much was overwritten as is unexplained: all of it was lost;
* between the two, which only happens when a flood meets a filter: with one probe exact, with several by their shares.

What the agent rejected itself, where a filter asks more than the kernel can tell, was decoded and is filtered too.
For each probe hits = shown + not shown + lost + filtered, always.
"""

from __future__ import annotations

from typing import Collection, Dict, List, Mapping, Tuple


class _Count:
    """One probe's numbers since it was armed."""

    def __init__(self) -> None:
        self.decoded = 0
        self.shown = 0
        self.rejected = 0
        self.missed = 0
        self.lost = 0
        self.filtered = 0

    @property
    def unexplained(self) -> int:
        return self.lost + self.filtered

    def counters(self) -> List[int]:
        hits = self.decoded + self.unexplained
        not_shown = self.decoded - self.shown - self.rejected
        return [hits, self.missed, self.lost, self.filtered + self.rejected, not_shown]


class Accounts:
    """The counters of all armed probes, by the probe's number."""

    def __init__(self) -> None:
        self._counts: Dict[int, _Count] = {}
        self._unassigned = 0
        self.lost = 0
        """Events overwritten in the buffers so far."""
        self.events = 0
        """Events that came out of the buffers so far, of all probes."""

    def open(self, probe: int) -> None:
        """Begin to count a probe."""
        self._counts[probe] = _Count()

    def close(self, probe: int) -> List[int]:
        """End it; its final counters."""
        return self._counts.pop(probe).counters()

    def decoded(self, probe: int, events: int) -> None:
        """So many of its events came out of the buffers."""
        if probe in self._counts:
            self._counts[probe].decoded += events
            self.events += events

    def rejected(self, probe: int, events: int) -> None:
        """So many of those that came out of the buffers did not pass the agent's part of the probe's filter."""
        if probe in self._counts:
            self._counts[probe].rejected += events

    def decoded_of(self, probe: int) -> int:
        """How many of its events came out of the buffers so far."""
        return self._counts[probe].decoded

    def hits(self, probe: int) -> int:
        """How many of its hits are explained."""
        count = self._counts[probe]
        return count.decoded + count.unexplained

    def shown(self, probe: int, events: int) -> None:
        """So many of them went to the explorer as rows."""
        if probe in self._counts:
            self._counts[probe].shown += events

    def reconcile(self, profile: Mapping[int, Tuple[int, int]], lost: int) -> None:
        """Explain what was counted but not decoded.

        Args:
            profile: Hits and missed of each probe since it was armed, read *before* the buffers were emptied, so that
                every hit of it is decoded, lost or filtered by now.
            lost: Events overwritten so far, read after.
        """
        self._unassigned += lost - self.lost
        self.lost = lost
        new: Dict[int, int] = {}
        for probe, (hits, missed) in profile.items():
            count = self._counts[probe]
            count.missed = missed
            # Events newer than the profile are decoded already: this is a lower bound, exact once the probe is quiet.
            new[probe] = max(0, hits - count.decoded - count.unexplained)
        total = sum(new.values())
        assignable = min(self._unassigned, total)
        self._unassigned -= assignable
        left = total
        for probe, unexplained in new.items():
            share = assignable * unexplained // left if left else 0
            self._counts[probe].lost += share
            self._counts[probe].filtered += unexplained - share
            assignable -= share
            left -= unexplained

    @property
    def unassigned(self) -> int:
        """Events overwritten that are nobody's yet."""
        return self._unassigned

    def reconcile_ends(self, profile: Mapping[int, Tuple[int, int]], ended: Collection[int]) -> None:
        """Give those that have just been disabled their part of the losses that are still nobody's.

        Called after ``reconcile`` with a profile of before the disabling: until that was done hits were recorded, and
        in a flood overwritten, that it does not hold. What else the kernel has counted since is explained by nothing:
        it calls a probe, and counts, while it is taking it away, but records no more.

        Args:
            profile: As for ``reconcile``, but read after the disabling.
            ended: Those that were disabled.
        """
        more = {probe: max(0, hits - self.hits(probe)) for probe, (hits, _) in profile.items()}
        left, unassigned = sum(more.values()), self._unassigned
        for probe in ended:
            share = min(more[probe], unassigned * more[probe] // left) if left else 0
            self._counts[probe].lost += share
            self._unassigned -= share

    def settle(self, lost: int) -> None:
        """No probe is open: what was lost and not assigned was never theirs."""
        self._unassigned = 0
        self.lost = lost

    def counters(self) -> Dict[int, List[int]]:
        """All counters, in the order of ``protocol.COUNTER_NAMES``."""
        return {probe: count.counters() for probe, count in self._counts.items()}
