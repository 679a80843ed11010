"""Alignment of types, and proof of packing: BTF tells neither, but places of members show them.

A member that lies where its type cannot lie proves ``packed``; one that lies further than it would have to proves an
alignment by attribute (or a zero-wide bit-field in front of it, which does the same).
"""

from __future__ import annotations

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import BtfType
from symbols.errors import BtfError

_LARGEST_BASIC = 16
"""No basic type is aligned further (``__int128``)."""
_LARGEST_FORCED = 1 << 16
_MAXIMUM_DEPTH = 32
_MAXIMUM_MEMBERS = 50_000
"""Looked at for one question; damaged data must not keep anybody waiting."""


class Alignments:
    """Answers for one BTF; what was looked at once is remembered."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._known: dict[int, tuple[int, str]] = {}
        self._measures: dict[int, tuple[int | None, int]] = {}
        self._left = _MAXIMUM_MEMBERS

    def measure(self, type_id: int, depth: int = 0) -> tuple[int | None, int]:
        """The size (None where it is not known) and the alignment of a type, in bytes.

        Raises:
            BtfError: The type is damaged, or nested beyond all measure.
        """
        known = self._measures.get(type_id)
        if known is None:
            known = self._measures[type_id] = (self._btf.size_of(type_id), self._alignment(type_id, depth))
        return known

    def _alignment(self, type_id: int, depth: int) -> int:
        record = self._btf.resolve(type_id)
        while record is not None and record.kind is Kind.ARRAY:
            depth += 1
            self._check(record, depth)
            record = self._btf.resolve(self._btf.array(record)[0])
        if record is None:
            return 1
        if record.kind in (Kind.STRUCT, Kind.UNION):
            return self.of_aggregate(record, depth)[0]
        size = self._btf.size_of(record.id) or 1
        return min(size & -size, _LARGEST_BASIC)

    def of_aggregate(self, record: BtfType, depth: int = 0) -> tuple[int, str]:
        """The alignment that a struct or union shows, at least 1, and what proves that it is packed ("": nothing).

        Members of damaged types are left out.

        Raises:
            BtfError: It contains itself, or is nested beyond all measure.
        """
        known = self._known.get(record.id)
        if known is None:
            self._check(record, depth)
            self._known[record.id] = (1, "")  # what contains itself is asked for no second time
            known = self._known[record.id] = self._examine(record, depth)
        return known

    def _examine(self, record: BtfType, depth: int) -> tuple[int, str]:
        alignment, end, crooked = 1, 0, ""
        for member in sorted(self._btf.members(record), key=lambda member: member.bit_offset):
            self._left -= 1
            try:
                size, own = self.measure(member.type, depth + 1)
            except BtfError:
                continue
            size = size or 0
            start = member.bit_offset
            name = member.name or "a nameless member"
            if member.bit_size is not None:
                if size and start % (8 * size) + member.bit_size > 8 * size:
                    crooked = crooked or f"{name} lies across two of its units"
                end = max(end, start + member.bit_size)
            elif start % (8 * own):
                crooked = crooked or f"{name} lies at {start // 8}, no multiple of {own}"
                end = max(end, start + 8 * size)
            else:
                if record.kind is Kind.STRUCT:
                    own = max(own, forced_alignment(-(-end // 8), start // 8, own))
                end = max(end, start + 8 * size)
            alignment = max(alignment, own)
        size = record.size or 0
        if not crooked and size % alignment:
            crooked = f"its size is no multiple of {alignment}"
        if crooked:
            return 1, crooked
        return max(alignment, forced_alignment(-(-end // 8), size, alignment)), ""

    def _check(self, record: BtfType, depth: int) -> None:
        if depth > _MAXIMUM_DEPTH or self._left < 0:
            raise BtfError(f"type {record.id} is too entangled to tell its alignment")


def forced_alignment(end: int, start: int, natural: int) -> int:
    """The least alignment that explains a place further away than needed; 0 when ``natural`` explains it.

    Args:
        end: Where the part before ends, in bytes.
        start: Where this one begins.
        natural: What its type asks for, a power of two.
    """
    alignment = natural
    while alignment <= _LARGEST_FORCED:
        if -(-end // alignment) * alignment == start:
            return alignment if alignment > natural else 0
        alignment *= 2
    return 0
