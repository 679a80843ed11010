"""The bpf program's ring buffer, read through the memory that it shares with the kernel (kernel/bpf/ringbuf.c)."""

from __future__ import annotations

import mmap
import struct
import time
from typing import Iterator

_BUSY, _DISCARDED = 1 << 31, 1 << 30
_HEADER = 8
_POSITION = struct.Struct("=Q")
_LENGTH = struct.Struct("=I")
_LOOK = 256
"""Records between two looks at the clock."""


class RingBuffer:
    """Reads the records in the order in which they were begun.

    Args:
        descriptor: The map's. It is readable while there are records.
        size: Bytes of the buffer, a power of two.

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

    def records(self, seconds: float) -> Iterator[bytes]:
        """Take records out until there are none or time is over, which ``emptied`` tells.

        Args:
            seconds: When to stop.
        """
        deadline = time.monotonic() + seconds
        begin = _POSITION.unpack_from(self._ours)[0]
        end = _POSITION.unpack_from(self._theirs)[0]
        data, mask, memory, length_of = self._data + _HEADER, self._mask, self._theirs, _LENGTH.unpack_from
        left = _LOOK
        self.emptied = True
        try:
            while begin < end:
                place = data + (begin & mask)
                length = length_of(memory, place - _HEADER)[0]
                if length & _BUSY:  # it is just being written, and so are perhaps those behind it
                    self.emptied = False
                    return
                size = length & ~_DISCARDED
                begin += (_HEADER + size + 7) & ~7
                if size == length:
                    yield memory[place : place + size]
                left -= 1
                if not left:
                    _POSITION.pack_into(self._ours, 0, begin)  # room for others
                    left = _LOOK
                    if time.monotonic() > deadline:
                        self.emptied = begin >= end
                        return
        finally:
            _POSITION.pack_into(self._ours, 0, begin)

    def close(self) -> None:
        """Unmap it."""
        self._ours.close()
        self._theirs.close()
