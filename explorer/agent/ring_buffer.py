"""Pages of the kernel's trace ring buffer, as ``per_cpu/cpuN/trace_pipe_raw`` hands them out.

A page begins with a u64 time stamp and a word whose low 20 bits count the bytes of records that follow. A record begins
with a 32-bit word: 5 bits type or length, 27 bits of nanoseconds since the record before. Little-endian machines only:
on others the bit fields lie the other way round. Source: include/linux/ring_buffer.h, kernel/trace/ring_buffer.c.
"""

from __future__ import annotations

import re
import struct
from typing import Dict, List, NamedTuple, Tuple

_LONGEST_SMALL = 28
_PADDING = 29
_TIME_EXTEND = 30
_TIME_STAMP = 31
_DELTA_BITS = 27
_COMMIT_MASK = (1 << 20) - 1
_MISSED_EVENTS = 1 << 31
# An absolute time stamp has no room for the top five bits of 64; they come from the page's own (since 5.17).
_ABSOLUTE_MASK = (1 << 59) - 1

_HEAD = struct.Struct("<IH").unpack_from
"""The first word of a record, and what is the event's id where the record has data and a short length."""
_WORD = struct.Struct("<I").unpack_from
_EVENT = struct.Struct("<H").unpack_from

_HEADER_FIELD = re.compile(r"field: [^;]* (\w+);\s*offset:(\d+);\s*size:(\d+);")


class RingBufferError(Exception):
    """A page or a format description is not what this decoder knows; nothing of it can be believed."""


Record = Tuple[int, int, int, int]
"""``(time, start, end, event)``: nanoseconds of the instance's clock; where its data begins and ends in the page, in
bytes; the id of its event. A plain tuple, as one is made for every event of a flood."""


class PageLayout(NamedTuple):
    """Where the parts of a page are, in bytes; it differs between 32 and 64 bits and by page size."""

    commit_offset: int
    commit_size: int
    data_offset: int
    data_size: int

    @property
    def size(self) -> int:
        """Bytes to read for one page."""
        return self.data_offset + self.data_size

    @classmethod
    def parse(cls, header_page: str) -> PageLayout:
        """Read ``events/header_page``.

        Raises:
            RingBufferError: It does not describe a page.
        """
        fields: Dict[str, Tuple[int, int]] = {
            name: (int(offset), int(size)) for name, offset, size in _HEADER_FIELD.findall(header_page)
        }
        try:
            commit_offset, commit_size = fields["commit"]
            data_offset, data_size = fields["data"]
        except KeyError as error:
            raise RingBufferError(f"events/header_page has no field {error}") from None
        if commit_size not in (4, 8) or not 8 <= commit_offset <= data_offset - commit_size or data_size > 1 << 20:
            raise RingBufferError("events/header_page describes an impossible page")
        return cls(commit_offset, commit_size, data_offset, data_size)


class Page(NamedTuple):
    """The records of one page, oldest first.

    Attributes:
        follows_loss: Whether records before the first one of this page were overwritten.
    """

    records: List[Record]
    follows_loss: bool


def scan(layout: PageLayout, page: bytes) -> Page:
    """Find the records of a page without looking into them.

    Raises:
        RingBufferError: The page is damaged.
    """
    begin, end = extent(layout, page)
    (page_time,) = struct.unpack_from("<Q", page)
    return Page(_walk(page, page_time, begin, end), bool(_commit(layout, page) & _MISSED_EVENTS))


def extent(layout: PageLayout, page: bytes) -> Tuple[int, int]:
    """Where the records of a page begin and end.

    Raises:
        RingBufferError: The page is damaged.
    """
    if len(page) < layout.data_offset:
        raise RingBufferError(f"a page of {len(page)} bytes has no header")
    length = _commit(layout, page) & _COMMIT_MASK
    if length % 4 or layout.data_offset + length > len(page):
        raise RingBufferError(f"a page of {len(page)} bytes claims {length} bytes of records")
    return layout.data_offset, layout.data_offset + length


def _commit(layout: PageLayout, page: bytes) -> int:
    (commit,) = struct.unpack_from("<Q" if layout.commit_size == 8 else "<I", page, layout.commit_offset)
    return int(commit)


def _walk(page: bytes, page_time: int, position: int, limit: int) -> List[Record]:
    records: List[Record] = []
    append, head = records.append, _HEAD
    time = page_time
    try:
        while position < limit:
            word, event = head(page, position)
            kind = word & 31
            if 0 < kind <= _LONGEST_SMALL:
                time += word >> 5
                start = position + 4
                position = start + (kind << 2)
                append((time, start, position, event))
                continue
            (second,) = _WORD(page, position + 4) if word != _PADDING else (0,)
            if kind == 0:
                time += word >> 5
                start = position + 8
                position += 4 + _checked(second, 8)
                append((time, start, position, *_EVENT(page, start)))
            elif kind == _TIME_EXTEND:
                time += (second << _DELTA_BITS) + (word >> 5)
                position += 8
            elif kind == _TIME_STAMP:
                absolute = (second << _DELTA_BITS) + (word >> 5)
                time = (page_time & ~_ABSOLUTE_MASK) | absolute
                position += 8
            elif word >> 5:  # padding with a delta: a record that was discarded, or too little room at a page's end
                time += word >> 5
                position += 4 + _checked(second, 4)
            else:  # padding without: nothing more on this page
                return records
    except struct.error:
        if limit - position != 4 or _WORD(page, position)[0] != _PADDING:  # that fits into a page's last four bytes
            raise RingBufferError("the last record of a page is cut short") from None
        return records
    if position > limit:
        raise RingBufferError("a record reaches over the end of its page")
    return records


def _checked(length: int, least: int) -> int:
    # The length counts itself; where data follow it, these too.
    if length < least or length % 4:
        raise RingBufferError(f"a record claims {length} bytes")
    return length
