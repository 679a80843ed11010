"""The shape of a struct or union: every part of it looked at, whichever format describes its type.

BTF and DWARF say what a type is made of (``Scalar``, ``Array``, ``Aggregate``); what follows from that is said once,
here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from symbols.abi.shape import Shape, ShapeKind, unknown
from symbols.errors import KexploreError

IN_REGISTERS = 16
"""The largest aggregate, in bytes, whose inside decides how it is passed."""
MAXIMUM_PARTS = 4096
"""Members looked at for one shape; damaged data must not keep anybody waiting."""
MAXIMUM_DEPTH = 32
"""Structs inside structs."""

T = TypeVar("T")
"""A format's way to name a type."""


@dataclasses.dataclass(frozen=True, slots=True)
class Scalar:
    """A number or pointer.

    Attributes:
        size: In bytes; None where it is not known.
        floating: Whether it is a floating point number.
        text: Its type in C, for the user.
    """

    size: int | None
    floating: bool = False
    text: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Array(Generic[T]):
    """An array, of as many elements as all its dimensions have.

    Attributes:
        element: The type of one.
        size: Of one, in bytes.
        count: How many.
    """

    element: T
    size: int
    count: int


@dataclasses.dataclass(frozen=True, slots=True)
class Member(Generic[T]):
    """A member of a struct or union.

    Attributes:
        type: Its type.
        bit_offset: From the start of the struct that it is in.
        bit_size: The width of a bit-field; None for any other member.
        alignment: In bytes, where the format says it: of a bit-field that of its type, else the one by attribute.
    """

    type: T
    bit_offset: int
    bit_size: int | None = None
    alignment: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Aggregate(Generic[T]):
    """A struct or union.

    Attributes:
        size: In bytes.
        members: In the order of the declaration.
        alignment: By attribute, in bytes; None where there is none or the format does not tell.
    """

    size: int
    members: Iterable[Member[T]]
    alignment: int | None = None


Part = Scalar | Array[T] | Aggregate[T]


class _Unknown(Exception):
    """The size of a part is not known, and so the shape of the whole is not."""


def shape_of(whole: Aggregate[T], describe: Callable[[T], Part[T]], damaged: type[KexploreError]) -> Shape:
    """The shape of a struct or union.

    Args:
        whole: It.
        describe: What a member's type is, typedefs and qualifiers looked through; its errors are passed on.
        damaged: What is raised when the parts have no end.
    """
    try:
        return _Walk(whole.size, describe, damaged).shape(whole)
    except _Unknown as error:
        return unknown(str(error))


class _Walk(Generic[T]):
    """Looks at every part of a struct or union."""

    def __init__(self, size: int, describe: Callable[[T], Part[T]], damaged: type[KexploreError]) -> None:
        self._size = size
        self._describe = describe
        self._damaged = damaged
        self._left = MAXIMUM_PARTS
        self._misaligned = False
        self._floating = False
        self._held = 0
        """A bit for each word that a member lies in."""

    def shape(self, whole: Aggregate[T]) -> Shape:
        alignment = self._members(whole, 0, 0)
        kind = ShapeKind.FLOATING if self._floating else ShapeKind.AGGREGATE
        hollow = self._size <= IN_REGISTERS and self._held != (1 << -(-self._size // 8)) - 1
        said = whole.alignment is not None
        return Shape(kind, self._size, alignment, self._misaligned, hollow=hollow, aligned=said)

    def _members(self, whole: Aggregate[T], start: int, depth: int) -> int:
        """Walk the members of a struct that lies at ``start``; returns its alignment."""
        alignment, packed = 1, False
        for member in whole.members:
            if member.bit_size is None:
                offset = member.bit_offset // 8
                natural = self._part(member.type, start + offset, depth)
                own = member.alignment or natural
                packed |= offset % own != 0
            else:
                self._hold(8 * start + member.bit_offset, member.bit_size)
                own = member.alignment or 1
            alignment = max(alignment, own)
        return whole.alignment or (1 if packed or whole.size % alignment else alignment)

    def _part(self, type_: T, start: int, depth: int) -> int:
        """Look at a part of the whole that lies at ``start``; returns its alignment."""
        self._left -= 1
        if self._left < 0 or depth > MAXIMUM_DEPTH:
            raise self._damaged("a type is too entangled to tell how it is passed")
        part = self._describe(type_)
        if isinstance(part, Array):
            # Of a large aggregate only the alignment matters, which the first element tells. An array of no elements
            # is looked at like one of one: gcc does so, too.
            looked_at = min(part.count, IN_REGISTERS) if self._size <= IN_REGISTERS else 1
            starts = range(start, start + max(looked_at, 1) * part.size, part.size) if part.size else (start,)
            return max(self._part(part.element, each, depth + 1) for each in starts)
        if isinstance(part, Aggregate):
            return self._members(part, start, depth + 1)
        if part.size is None:
            raise _Unknown(f"a member of it, {part.text}, is not known")
        if not part.size:
            return 1
        self._floating |= part.floating
        self._hold(8 * start, 8 * part.size)
        alignment = min(part.size, 16)
        self._misaligned |= start % alignment != 0
        return alignment

    def _hold(self, start: int, bits: int) -> None:
        """Note the words of a part; one that lies beyond the size (an array of no elements) takes none."""
        if self._size <= IN_REGISTERS:
            for word in range(start // 64, min(-(-(start + bits) // 64), -(-self._size // 8))):
                self._held |= 1 << word
