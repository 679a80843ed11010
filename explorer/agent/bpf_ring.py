"""The bpf program's ring buffer, read through the memory that it shares with the kernel (kernel/bpf/ringbuf.c).

In a flood nearly all records are only counted. So each costs one look at its head; those that are wanted are copied.
"""

from __future__ import annotations

import mmap
import struct
import time
from typing import Iterator, List, NamedTuple, Tuple

_BUSY, _DISCARDED = 1 << 31, 1 << 30
_HEADER = 8
_POSITION = struct.Struct("=Q")
_HEAD = struct.Struct("=I4xQ8xI")
"""A record's length with its flags, and of ``bpf_layout.HEAD`` the time and the slot."""
_ROOM = 256 << 10
"""Bytes that are read before their room is given back; then the clock is looked at."""


class Batch(NamedTuple):
    """Records that are still in the buffer, oldest first.

    Attributes:
        places: Where each is.
        heads: Of each its length, when it was written, in nanoseconds of the monotonic clock, and its probe's slot.
    """

    places: List[int]
    heads: List[Tuple[int, int, int]]


class RingBuffer:
    """Reads the records in the order in which they were begun.

    Args:
        descriptor: The map's. It is readable while there are records.
        size: Bytes of the buffer, a power of two.

    Attributes:
        emptied: Whether the last reading came to the end of what there was.

    Raises:
        OSError: It cannot be mapped.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        page = mmap.PAGESIZE
        self._mask = size - 1
        self._ours = mmap.mmap(descriptor, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        # The data stand there twice, one behind the other: no record ever goes round the end.
        self._theirs = mmap.mmap(descriptor, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._data = page
        self.emptied = True

    def batches(self, seconds: float) -> Iterator[Batch]:
        """Take records out until there are none or time is over, which ``emptied`` tells.

        Args:
            seconds: When to stop.

        Yields:
            Records whose room is given back to the kernel when the next are asked for.
        """
        deadline = time.monotonic() + seconds
        begin = _POSITION.unpack_from(self._ours)[0]
        end = _POSITION.unpack_from(self._theirs)[0]
        while begin < end:
            batch, begin, stopped = self._look(begin, end)
            try:
                yield batch
            finally:
                _POSITION.pack_into(self._ours, 0, begin)
            if stopped or time.monotonic() > deadline:
                break
        self.emptied = begin >= end

    def _look(self, begin: int, end: int) -> Tuple[Batch, int, bool]:
        """The next records, the position behind them, and whether one stands there that is still being written."""
        data, mask, memory, head_of = self._data, self._mask, self._theirs, _HEAD.unpack_from
        end = min(end, begin + _ROOM)
        batch = Batch([], [])
        place_in, head_in = batch.places.append, batch.heads.append
        while begin < end:
            place = data + (begin & mask)
            head = head_of(memory, place)
            size = head[0]
            if size < _DISCARDED:
                place_in(place)
                head_in(head)
            elif size & _BUSY:  # and so are perhaps those behind it
                return batch, begin, True
            else:
                size &= ~_DISCARDED
            begin += (_HEADER + size + 7) & ~7
        return batch, begin, False

    def copy(self, place: int, length: int) -> bytes:
        """A record of the present batch."""
        return self._theirs[place + _HEADER : place + _HEADER + length]

    def close(self) -> None:
        """Unmap it."""
        self._ours.close()
        self._theirs.close()
