"""C types as far as showing and decoding one value needs them, whatever they were read from (BTF, DWARF, a table)."""

from __future__ import annotations

import dataclasses
import enum


class TypeKind(enum.Enum):
    """What the bits of a value mean once typedefs and qualifiers are looked through."""

    VOID = "void"
    BOOL = "bool"
    SIGNED = "signed"
    UNSIGNED = "unsigned"
    ENUM = "enum"
    POINTER = "pointer"
    FLOAT = "float"
    AGGREGATE = "aggregate"
    """A struct, union or array by value."""
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, slots=True)
class CType:
    """A type as written, and what it comes down to.

    Attributes:
        text: As a C programmer would write it: ``const char *``, ``struct open_how *``, ``gfp_t``.
        kind: What the bits mean.
        size: In bytes; None where it is not known (a forward declaration).
        pointee: For a pointer, the text of what it points to without qualifiers (``char``, ``struct file``); else "".
        pointee_size: For a pointer, the size in bytes of what it points to, if known.
        enumerators: For an enum, (name, value) in declaration order; else empty.
        bits: For an integer narrower than its storage, its width in bits; else None.
        alignment: In bytes, where it is known and matters for argument passing.
    """

    text: str
    kind: TypeKind
    size: int | None
    pointee: str = ""
    pointee_size: int | None = None
    enumerators: tuple[tuple[str, int], ...] = ()
    bits: int | None = None
    alignment: int | None = None

    @property
    def is_string(self) -> bool:
        """Whether it is a ``char *`` that is worth reading as text."""
        return self.kind is TypeKind.POINTER and self.pointee == "char"


VOID = CType("void", TypeKind.VOID, 0)
UNKNOWN_TYPE = CType("?", TypeKind.UNKNOWN, None)
