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
    """

    kind: ShapeKind
    size: int
    alignment: int = 1
    misaligned: bool = False
    cause: str = ""

    @property
    def alignment_is_certain(self) -> bool:
        """Whether a convention can rely on the alignment.

        No type information tells that a struct is packed, and if nothing in it lies crooked, nothing shows it. Only
        an alignment over one register makes a difference to conventions.
        """
        return self.kind is not ShapeKind.AGGREGATE or self.alignment <= 8


def unknown(cause: str) -> Shape:
    """The shape of a type that is not known well enough."""
    return Shape(ShapeKind.UNKNOWN, 0, cause=cause)
