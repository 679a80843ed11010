"""The layout of BTF data: the header and the kinds of types (Documentation/bpf/btf.rst, include/uapi/linux/btf.h)."""

from __future__ import annotations

import dataclasses
import enum
import struct

from symbols.errors import BtfError

_BYTE_ORDERS = {b"\x9f\xeb": "little", b"\xeb\x9f": "big"}
"""By the magic number 0xeb9f as it lies in memory."""
_VERSION = 1


class Kind(enum.IntEnum):
    """What a type record is."""

    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


RECORD_WORDS = 3
"""Words of 32 bits that every record starts with: name offset, info, size or type."""

WORDS_PER_MEMBER: dict[int, int] = {
    Kind.STRUCT.value: 3,
    Kind.UNION.value: 3,
    Kind.ENUM.value: 2,
    Kind.FUNC_PROTO.value: 2,
    Kind.DATASEC.value: 3,
    Kind.ENUM64.value: 3,
}
"""Words of each of the ``vlen`` members that follow, for the kinds that have some (a FUNC keeps its linkage there).

Keyed by plain numbers, because the index asks a hundred thousand times.
"""

_EXTRA = {Kind.INT: 1, Kind.ARRAY: 3, Kind.VAR: 1, Kind.DECL_TAG: 1}
FIXED_WORDS: dict[int, int] = {
    kind.value: RECORD_WORDS + _EXTRA.get(kind, 0) for kind in Kind if kind.value not in WORDS_PER_MEMBER
}
"""Words of a whole record, for the kinds without members."""

KINDS_WITH_SIZE = frozenset({Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FLOAT, Kind.DATASEC})
MODIFIERS = frozenset({Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG})
"""Kinds that change nothing about a value's bits."""


@dataclasses.dataclass(frozen=True, slots=True)
class Header:
    """The header, its sections as absolute positions in bytes.

    Attributes:
        byte_order: As ``sys.byteorder`` names it.
        types: Start and end of the type section.
        strings: Start and end of the string section.
    """

    byte_order: str
    types: tuple[int, int]
    strings: tuple[int, int]


def read_header(data: bytes, *, split: bool = False) -> Header:
    """Read and check the header.

    Args:
        data: A whole file of BTF.
        split: Whether it continues another: its strings do, too, and need not begin with an empty one.

    Raises:
        BtfError: It is no BTF, of a later version, or its sections do not lie within the data.
    """
    if len(data) < 24:
        raise BtfError(f"BTF data of {len(data)} bytes has no room for a header")
    byte_order = _BYTE_ORDERS.get(data[:2])
    if byte_order is None:
        raise BtfError(
            f"no BTF: it starts with {data[:2].hex()}, not with {' or '.join(m.hex() for m in _BYTE_ORDERS)}"
        )
    layout = ("<" if byte_order == "little" else ">") + "BBIIIII"
    version, _, length, type_offset, type_length, string_offset, string_length = struct.unpack_from(layout, data, 2)
    if version != _VERSION:
        raise BtfError(f"BTF version {version} is not known, only {_VERSION} is", "use a newer kexplore")
    if length < 24 or length % 4:
        raise BtfError(f"the BTF header claims a length of {length} bytes")
    types = (length + type_offset, length + type_offset + type_length)
    strings = (length + string_offset, length + string_offset + string_length)
    if types[1] > len(data) or strings[1] > len(data):
        end = max(types[1], strings[1])
        raise BtfError(f"BTF data is truncated: its sections end at byte {end}, the data at {len(data)}")
    if type_offset % 4 or type_length % 4:
        raise BtfError("the BTF type section is not made of whole words")
    if string_length and ((data[strings[0]] != 0 and not split) or data[strings[1] - 1] != 0):
        raise BtfError("the BTF string section does not begin and end with a zero byte")
    return Header(byte_order, types, strings)
