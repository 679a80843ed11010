"""The newest records of the bpf program, kept for showing: so many, and so many bytes, and when others were let go."""

from __future__ import annotations

import collections
import struct
from typing import Callable, Deque, List

from explorer.agent import bpf_layout
from explorer.agent.bpf_ring import Batch

_SLOT = struct.Struct("=I")
_SLOT_AT = 16
"""Where in a record its probe's slot stands."""
_MOST = 2 << 20
"""Bytes of records for one batch; as JSON at most six times as many."""


def slot_of(record: bytes) -> int:
    """Whose record it is."""
    slot: int = _SLOT.unpack_from(record, _SLOT_AT)[0]
    return slot


class NewestRecords:
    """Records, oldest first.

    Attributes:
        gap_until: Up to this time, in nanoseconds of the monotonic clock, some were let go.
    """

    def __init__(self) -> None:
        self._records: Deque[bytes] = collections.deque()
        self._bytes = 0
        self.gap_until = 0

    def keep(self, batch: Batch, most: int, copy: Callable[[int, int], bytes]) -> None:
        """Take more, and let the oldest go above so many.

        Args:
            batch: The next ones.
            most: How many are kept.
            copy: Gives the record at a place, of a length.
        """
        places, heads = batch
        first, size = len(heads), 0
        while first and len(heads) - first < most and size + heads[first - 1][0] <= _MOST:
            first -= 1
            size += heads[first][0]
        records = self._records
        if first:  # what was kept before is older still
            while records:
                self._let_go(records.popleft())
            self.gap_until = max(self.gap_until, max(time for _, time, _ in heads[:first]))
        records.extend(copy(places[number], heads[number][0]) for number in range(first, len(heads)))
        self._bytes += size
        while len(records) > most or self._bytes > _MOST:
            self._let_go(records.popleft())

    def take(self, most: int) -> List[bytes]:
        """The newest, so many at most; afterwards there are none."""
        while len(self._records) > most:
            self._let_go(self._records.popleft())
        taken = list(self._records)
        self._records.clear()
        self._bytes = 0
        return taken

    def forget(self, slot: int) -> None:
        """A probe is gone."""
        self._records = collections.deque(record for record in self._records if slot_of(record) != slot)
        self._bytes = sum(map(len, self._records))

    @property
    def latest(self) -> int:
        """When the newest was written; 0 while there are none."""
        return bpf_layout.time_of(self._records[-1]) if self._records else 0

    def _let_go(self, record: bytes) -> None:
        self._bytes -= len(record)
        self.gap_until = max(self.gap_until, bpf_layout.time_of(record))
