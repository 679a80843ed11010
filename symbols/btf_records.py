"""What the records of BTF say, decoded."""

from __future__ import annotations

import dataclasses

from symbols.btf_format import Kind

VOID_ID = 0
"""The type id that stands for ``void``; no record belongs to it."""


@dataclasses.dataclass(frozen=True, slots=True)
class BtfType:
    """The part that all type records share.

    Attributes:
        id: Its type id.
        kind: What it is.
        name: Empty when it has none.
        length: The number of its members (``vlen``); for a FUNC its linkage.
        flag: The kind flag: bit-field members, a signed enum, a forward-declared union.
        size: In bytes, for the kinds that have one; else None.
        target: The type id that it refers to, for the other kinds; else ``VOID_ID``.
    """

    id: int
    kind: Kind
    name: str
    length: int
    flag: bool
    size: int | None
    target: int


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union; ``bit_size`` is None unless it is a bit-field."""

    name: str
    type: int
    bit_offset: int
    bit_size: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Integer:
    """How an INT encodes its value."""

    signed: bool
    boolean: bool
    bits: int
