"""What comes out of the bpf program's ring buffer: every record counted to its probe, the newest made rows."""

from __future__ import annotations

import collections
import time
from typing import List, Mapping, Optional

from explorer.agent.bpf_newest import NewestRecords, slot_of
from explorer.agent.bpf_probe import BpfProbe
from explorer.agent.bpf_ring import Batch, RingBuffer
from explorer.agent.row_code import Row


class Intake:
    """Empties the buffer.

    Args:
        probes: The probes that are armed, by the slots under which the program knows them.

    Attributes:
        events: Records that came out so far.
        complete_until: None that was written until then is still in the buffer, in nanoseconds of the monotonic clock.
    """

    def __init__(self, probes: Mapping[int, BpfProbe]) -> None:
        self._ring: Optional[RingBuffer] = None
        self._probes = probes
        self._newest = NewestRecords()
        self.events = 0
        self.complete_until = 0

    def open(self, ring: RingBuffer) -> None:
        """From now on this is the buffer."""
        self._ring = ring

    @property
    def gap_until(self) -> int:
        """Up to this time records were let go that are not among the rows."""
        return self._newest.gap_until

    def drain(self, keep: int, seconds: float) -> bool:
        """Take records out and count them.

        Args:
            keep: How many of the newest ``collect`` may ask for.
            seconds: When to stop in a flood.

        Returns:
            Whether the buffer was emptied.
        """
        ring = self._ring
        assert ring is not None
        began = time.monotonic_ns()
        before = self.events
        for batch in ring.batches(seconds):
            self._newest.keep(self._counted(batch, ring), max(keep, 1), ring.copy)
        self.complete_until = began if ring.emptied else max(self.complete_until, self._newest.latest)
        return ring.emptied or self.events == before

    def collect(self, rows: int) -> List[Row]:
        """The newest events as rows, oldest first; what else was kept is let go."""
        found: List[Row] = []
        for record in self._newest.take(rows):
            probe = self._probes.get(slot_of(record))
            if probe is not None:
                probe.shown += 1
                found.append(probe.decoder.row(record, probe.number))
        found.sort(key=lambda row: int(row[1]))
        return found

    def forget(self, slot: int) -> None:
        """A probe is gone."""
        self._newest.forget(slot)

    def close(self) -> None:
        """Let the buffer go."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _counted(self, batch: Batch, ring: RingBuffer) -> Batch:
        """Count records to their probes; those that the agent's part of their filter, if any, lets pass."""
        as_they_are = True
        for slot, records in collections.Counter(head[2] for head in batch.heads).items():
            probe = self._probes.get(slot)
            if probe is not None:
                probe.decoded += records
                self.events += records
            as_they_are &= probe is not None and probe.remaining is None
        if as_they_are:
            return batch
        passed = Batch([], [])
        for number, head in enumerate(batch.heads):
            place, probe = batch.places[number], self._probes.get(head[2])
            if probe is None:
                continue
            if probe.remaining is None or probe.decoder.passes(ring.copy(place, head[0]), probe.remaining):
                passed.places.append(place)
                passed.heads.append(head)
            else:
                probe.rejected += 1
        return passed
