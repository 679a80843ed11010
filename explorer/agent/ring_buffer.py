"""Pages of the kernel's trace ring buffer, as ``per_cpu/cpuN/trace_pipe_raw`` hands them out.

A page begins with a u64 time stamp and a word whose low 20 bits count the bytes of records that follow. A record begins
with a 32-bit word: 5 bits type or length, 27 bits of nanoseconds since the record before. Little-endian machines only:
on others the bit fields lie the other way round. Source: include/linux/ring_buffer.h, kernel/trace/ring_buffer.c.
"""

from __future__ import annotations

import re
import struct
from typing import Dict, List, NamedTuple, NoReturn, Tuple

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
_TIME = struct.Struct("<Q").unpack_from
_LONG = struct.Struct("<IIH").unpack_from
"""Of a record with data and a long length: the first word, this length in bytes, itself included, the event's id."""
_LEAST_LONG = 12
"""Bytes of such a record."""

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
    begin, end, missed = _extent(layout, page)
    (page_time,) = _TIME(page)
    return Page(_walk(page, page_time, begin, end), missed)


def extent(layout: PageLayout, page: bytes) -> Tuple[int, int]:
    """Where the records of a page begin and end.

    Raises:
        RingBufferError: The page is damaged.
    """
    begin, end, _ = _extent(layout, page)
    return begin, end


def _extent(layout: PageLayout, page: bytes) -> Tuple[int, int, bool]:
    """The same, and whether records before the first were overwritten."""
    commit_offset, _, begin, _ = layout
    if len(page) < begin:
        raise RingBufferError(f"a page of {len(page)} bytes has no header")
    (commit,) = _WORD(page, commit_offset)  # of eight bytes the lower half: the flags end with bit 31
    length = commit & _COMMIT_MASK
    if length & 3 or begin + length > len(page):
        raise RingBufferError(f"a page of {len(page)} bytes claims {length} bytes of records")
    return begin, begin + length, commit & _MISSED_EVENTS != 0


def _walk(page: bytes, page_time: int, position: int, limit: int) -> List[Record]:
    records: List[Record] = []
    append, head, long = records.append, _HEAD, _LONG
    time, last_long = page_time, limit - _LEAST_LONG
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
            if not kind:
                if position > last_long:
                    raise RingBufferError("the last record of a page is cut short")
                while position <= last_long:  # the next are most likely of this kind, too
                    word, length, event = long(page, position)
                    if word & 31:
                        break
                    time += word >> 5
                    start = position + 8
                    position += 4 + (length if length >= 8 and not length & 3 else _impossible(length))
                    append((time, start, position, event))
                continue
            (second,) = _WORD(page, position + 4) if word != _PADDING else (0,)
            if kind == _TIME_EXTEND:
                time += (second << _DELTA_BITS) + (word >> 5)
                position += 8
            elif kind == _TIME_STAMP:
                absolute = (second << _DELTA_BITS) + (word >> 5)
                time = (page_time & ~_ABSOLUTE_MASK) | absolute
                position += 8
            elif word >> 5:  # padding with a delta: a record that was discarded, or too little room at a page's end
                time += word >> 5
                position += 4 + (second if second >= 4 and not second & 3 else _impossible(second))
            else:  # padding without: nothing more on this page
                return records
    except struct.error:
        if limit - position != 4 or _WORD(page, position)[0] != _PADDING:  # that fits into a page's last four bytes
            raise RingBufferError("the last record of a page is cut short") from None
        return records
    if position > limit:
        raise RingBufferError("a record reaches over the end of its page")
    return records


def _impossible(length: int) -> NoReturn:
    """A length counts itself, in whole words; where data follow it, these too."""
    raise RingBufferError(f"a record claims {length} bytes")
