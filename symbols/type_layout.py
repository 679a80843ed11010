"""The layout of a struct or union: where each member lies, and what lies between them.

What BTF says is taken as it is, also where no compiler would have said it: members may overlap, lie outside or be of a
type that does not exist. Such a member is marked, and no gap is claimed where one cannot be told.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import BtfType, Member
from symbols.errors import BtfError
from symbols.type_alignment import Alignments, forced_alignment

AGGREGATES = frozenset({Kind.STRUCT, Kind.UNION})
CACHE_LINE = 64
"""Bytes of a cache line on every architecture with a calling convention table but s390x (256) and ppc64le (128)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A member in its place.

    Attributes:
        name: "" for a nameless struct or union.
        type: Its type id.
        bit_offset: From the beginning of the struct or union that it is a member of.
        bits: What it occupies; 0 for an array of no elements; None where its size is not known.
        bit_size: Its width, if it is a bit-field; else None.
        alignment: In bytes, what its type asks for; 1 for a bit-field.
        forced: An alignment that its place shows and its type does not ask for; else 0. The true one may be larger.
        problem: What is wrong with it; "" when nothing is.
    """

    name: str
    type: int
    bit_offset: int
    bits: int | None
    bit_size: int | None
    alignment: int
    forced: int
    problem: str

    @property
    def offset(self) -> int:
        """In whole bytes."""
        return self.bit_offset // 8

    @property
    def size(self) -> int | None:
        """In bytes; None for a bit-field and where it is not known."""
        return None if self.bits is None or self.bit_size is not None else self.bits // 8


@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """Bits that belong to no member: a hole, or the padding at the end."""

    bit_offset: int
    bits: int
    at_end: bool

    @property
    def offset(self) -> int:
        """In whole bytes."""
        return self.bit_offset // 8

    def words(self) -> str:
        """``hole of 4 bytes``, ``padding of 3 bits``, ``hole of 1 byte 5 bits``."""
        return f"{'padding' if self.at_end else 'hole'} of {bits_in_words(self.bits)}"


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """A struct or union.

    Attributes:
        record: Its BTF record.
        size: In bytes.
        parts: Fields and gaps in the order of their offsets.
        alignment: In bytes, as far as its members, their places and its size show it; the true one may be larger.
        packed: What proves that it is packed, or made of types that a typedef aligns less; "" when nothing does.
    """

    record: BtfType
    size: int
    parts: tuple[Field | Gap, ...]
    alignment: int
    packed: str

    @property
    def fields(self) -> list[Field]:
        """The members."""
        return [part for part in self.parts if isinstance(part, Field)]

    @property
    def holes(self) -> list[Gap]:
        """The gaps between members."""
        return [part for part in self.parts if isinstance(part, Gap) and not part.at_end]

    @property
    def padding(self) -> int:
        """Bits behind the last member."""
        return sum(part.bits for part in self.parts if isinstance(part, Gap) and part.at_end)

    @property
    def keyword(self) -> str:
        """``struct`` or ``union``."""
        return self.record.kind.name.lower()

    def cache_lines(self, line: int = CACHE_LINE) -> int:
        """How many cache lines it spans if it begins on one."""
        return -(-self.size // line)

    def summary(self) -> list[str]:
        """What there is to say of the whole: size, members, holes, padding, alignment, packed."""
        holes = self.holes
        words = [_count(self.size, "byte")]
        if self.size > CACHE_LINE:
            words.append(f"{self.cache_lines()} cache lines of {CACHE_LINE}")
        words.append(_count(len(self.fields), "member"))
        if holes:
            words.append(f"{_count(len(holes), 'hole')}: {bits_in_words(sum(hole.bits for hole in holes))}")
        if self.padding:
            words.append(f"padding at the end: {bits_in_words(self.padding)}")
        words.append(f"packed or under-aligned: {self.packed}" if self.packed else f"alignment ≥ {self.alignment}")
        return words


def layout(btf: Btf, type_id: int) -> Layout:
    """The layout of a struct or union.

    Raises:
        BtfError: It is neither, or its own record is damaged. Damage of a member's type is told by the member.
    """
    record = btf.type(type_id)
    if record.kind not in AGGREGATES:
        raise BtfError(f"type {type_id} is a {record.kind.name}, not a STRUCT or UNION")
    size = record.size or 0
    alignments = Alignments(btf)
    members = sorted(btf.members(record), key=lambda member: member.bit_offset)
    parts = tuple(_parts(list(_fields(alignments, record, members)), 8 * size))
    natural, packed = alignments.of_aggregate(record)
    return Layout(record, size, parts, natural, packed)


def bits_in_words(bits: int) -> str:
    """``4 bytes``, ``3 bits``, ``1 byte 5 bits``."""
    words = [_count(bits // 8, "byte")] if bits >= 8 else []
    words += [_count(bits % 8, "bit")] if bits % 8 or not bits else []
    return " ".join(words)


def _fields(alignments: Alignments, record: BtfType, members: Iterable[Member]) -> Iterator[Field]:
    limit = 8 * (record.size or 0)
    end = 0
    for member in members:
        start, bits, problem, alignment = member.bit_offset, member.bit_size, "", 1
        try:
            size, own = alignments.measure(member.type)
            if bits is None:
                bits, alignment = None if size is None else 8 * size, own
        except BtfError as error:
            problem = str(error)
        if not problem and bits is None:
            problem = "its size is not known"
        elif bits is not None and start + bits > limit:
            problem = f"it ends {bits_in_words(start + bits - limit)} behind the end of the {record.kind.name.lower()}"
        elif start < end and record.kind is Kind.STRUCT and bits:
            problem = "it overlaps the member before"
        forced = 0
        if record.kind is Kind.STRUCT and member.bit_size is None and start % 8 == 0 and not problem:
            forced = forced_alignment(-(-end // 8), start // 8, alignment)
        yield Field(member.name, member.type, start, bits, member.bit_size, alignment, forced, problem)
        end = max(end, start + (bits or 0))


def _parts(fields: list[Field], limit: int) -> Iterator[Field | Gap]:
    """Fields with the gaps between them, which with the fields make up the whole."""
    reached = 0
    known = True
    for field in fields:
        start = min(field.bit_offset, limit)
        if start > reached:
            if known:
                yield Gap(reached, start - reached, at_end=False)
            known = True
        yield field
        known = known and field.bits is not None
        reached = max(reached, min(start + (field.bits or 0), limit))
    if known and limit > reached:
        yield Gap(reached, limit - reached, at_end=True)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
