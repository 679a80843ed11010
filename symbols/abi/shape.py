"""What a calling convention needs to know of a type: its size, its alignment and what it is made of."""

from __future__ import annotations

import dataclasses
import enum


class ShapeKind(enum.Enum):
    """How a convention looks at a value."""

    INTEGER = "integer"
    """Fits one general register: integers, pointers, enums, bool."""
    WIDE = "wide integer"
    """An integer of two registers: ``__int128``."""
    AGGREGATE = "aggregate"
    """A struct or union by value."""
    FLOATING = "floating point"
    """A floating point number, or an aggregate that has one inside."""
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """The shape of one value.

    Attributes:
        kind: How conventions look at it.
        size: In bytes; 0 for an empty struct (C passes nothing) and where it is not known.
        alignment: In bytes: the largest natural alignment of its parts, as far as it is known not to be packed.
        misaligned: Whether a part of it is not at a multiple of its natural alignment (a packed struct).
        cause: For UNKNOWN, why, in words for the user.
        hollow: Whether one of its words holds no member at all, only padding.
        aligned: Whether ``alignment`` is the one that it was given (DWARF tells); otherwise a larger one by attribute
            is possible.
    """

    kind: ShapeKind
    size: int
    alignment: int = 1
    misaligned: bool = False
    cause: str = ""
    hollow: bool = False
    aligned: bool = False

    @property
    def alignment_is_certain(self) -> bool:
        """Whether it cannot be less than ``alignment``.

        BTF does not tell that a struct is packed, and if nothing in it lies crooked, nothing shows it. Only an
        alignment over one register makes a difference to conventions.
        """
        return self.aligned or self.kind is not ShapeKind.AGGREGATE or self.alignment <= 8

    @property
    def largest_alignment(self) -> int:
        """What an attribute may have made of the alignment: as much as the size is a multiple of.

        Only structs and unions keep an alignment of their own when they are passed.
        """
        if self.aligned or self.kind is not ShapeKind.AGGREGATE or not self.size:
            return self.alignment
        return max(self.alignment, self.size & -self.size)


def unknown(cause: str) -> Shape:
    """The shape of a type that is not known well enough."""
    return Shape(ShapeKind.UNKNOWN, 0, cause=cause)


def scalar(size: int, *, floating: bool) -> Shape:
    """The shape of a number or pointer of so many bytes."""
    if floating:
        return Shape(ShapeKind.FLOATING, size, size)
    if size == 16:
        return Shape(ShapeKind.WIDE, size, size)
    if size not in (1, 2, 4, 8):
        return unknown(f"an integer of {size} bytes")
    return Shape(ShapeKind.INTEGER, size, size)
