"""BTF types as the rest of the program sees them: a ``CType`` to show and decode a value, a ``Shape`` to find it."""

from __future__ import annotations

from symbols.abi.shape import Shape, ShapeKind, unknown
from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import VOID_ID, BtfType
from symbols.c_declaration import declaration
from symbols.c_types import VOID, CType, TypeKind
from symbols.errors import BtfError

_QUALIFIERS = frozenset({Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG})
_AGGREGATES = frozenset({Kind.STRUCT, Kind.UNION})
_ENUMS = frozenset({Kind.ENUM, Kind.ENUM64})
_IN_REGISTERS = 16
"""The largest aggregate, in bytes, whose inside decides how it is passed."""
_MAXIMUM_PARTS = 4096
"""Members looked at for one shape; damaged data must not keep anybody waiting."""
_MAXIMUM_DEPTH = 32
"""Structs inside structs."""


def c_type(btf: Btf, type_id: int, bits: int | None = None) -> CType:
    """The type of a value.

    Args:
        btf: Where the type id belongs.
        type_id: Any type, ``VOID_ID`` included.
        bits: The width of a bit-field of this type.

    Raises:
        BtfError: The type is damaged.
    """
    record = btf.resolve(type_id)
    text = declaration(btf, type_id)
    if record is None:
        return VOID if text == "void" else CType(text, TypeKind.VOID, 0)
    size = btf.size_of(record.id)
    if record.kind is Kind.PTR:
        pointee = _unqualified(btf, record.target)
        pointee_size = None if pointee == VOID_ID else btf.size_of(pointee)
        return CType(text, TypeKind.POINTER, size, declaration(btf, pointee), pointee_size)
    if record.kind is Kind.INT:
        integer = btf.integer(record)
        kind = TypeKind.BOOL if integer.boolean else TypeKind.SIGNED if integer.signed else TypeKind.UNSIGNED
        narrow = integer.bits if size is not None and integer.bits < 8 * size else None
        return CType(text, kind, size, bits=bits or narrow)
    if record.kind in _ENUMS:
        return CType(text, TypeKind.ENUM, size, enumerators=tuple(btf.enumerators(record)), bits=bits)
    if record.kind is Kind.FLOAT:
        return CType(text, TypeKind.FLOAT, size)
    if record.kind in _AGGREGATES or record.kind is Kind.ARRAY:
        return CType(text, TypeKind.AGGREGATE, size)
    return CType(text, TypeKind.UNKNOWN, size)


def shape_of(btf: Btf, type_id: int) -> Shape:
    """The shape of a parameter or result that is not ``void``.

    BTF tells neither ``packed`` nor ``aligned``: a packed struct is recognised by its crooked members if it has some,
    an alignment by attribute is not seen.

    Raises:
        BtfError: The type is damaged.
    """
    record = btf.resolve(type_id)
    if record is None or record.kind in (Kind.FUNC_PROTO, Kind.ARRAY):
        return unknown(f"{declaration(btf, type_id)} cannot be passed by value")
    if record.kind is Kind.FWD:
        return unknown(f"{declaration(btf, type_id)} is only declared, its size is not known")
    size = btf.size_of(record.id)
    if size is None:
        return unknown(f"the size of {declaration(btf, type_id)} is not known")
    if record.kind in _AGGREGATES:
        return _AggregateWalk(btf, size).shape(record)
    if record.kind is Kind.FLOAT:
        return Shape(ShapeKind.FLOATING, size, size)
    if size == 16:
        return Shape(ShapeKind.WIDE, size, size)
    if size not in (1, 2, 4, 8):
        return unknown(f"an integer of {size} bytes")
    return Shape(ShapeKind.INTEGER, size, size)


class _AggregateWalk:
    """Looks at every part of a struct or union."""

    def __init__(self, btf: Btf, size: int) -> None:
        self._btf = btf
        self._size = size
        self._left = _MAXIMUM_PARTS
        self._misaligned = False
        self._floating = False
        self._held = 0
        """A bit for each word that a member lies in."""
        self._cause = ""

    def shape(self, record: BtfType) -> Shape:
        alignment = self._members(record, 0, 0)
        if self._cause:
            return unknown(self._cause)
        kind = ShapeKind.FLOATING if self._floating else ShapeKind.AGGREGATE
        hollow = self._size <= _IN_REGISTERS and self._held != (1 << -(-self._size // 8)) - 1
        return Shape(kind, self._size, alignment, self._misaligned, hollow=hollow)

    def _members(self, record: BtfType, start: int, depth: int) -> int:
        """Walk the members of a struct that lies at ``start``; returns its alignment."""
        alignment = 1
        packed = False
        for member in self._btf.members(record):
            if member.bit_size is None:
                offset = member.bit_offset // 8
                own = self._part(member.type, start + offset, depth)
                packed |= offset % own != 0
            else:
                self._hold(8 * start + member.bit_offset, member.bit_size)
                own = min(self._btf.size_of(member.type) or 1, 8)
            alignment = max(alignment, own)
        return 1 if packed or (record.size or 0) % alignment else alignment

    def _part(self, type_id: int, start: int, depth: int) -> int:
        """Look at a part of the whole that lies at ``start``; returns its alignment."""
        self._left -= 1
        if self._left < 0 or depth > _MAXIMUM_DEPTH:
            raise BtfError("a type is too entangled to tell how it is passed")
        record = self._btf.resolve(type_id)
        if record is None:
            raise BtfError("a member is void")
        if record.kind is Kind.ARRAY:
            element, count = self._btf.array(record)
            size = self._btf.size_of(element) or 0
            # Of a large aggregate only the alignment matters, which the first element tells. An array of no elements
            # is looked at like one of one: gcc does so, too.
            looked_at = min(count, _IN_REGISTERS) if self._size <= _IN_REGISTERS else 1
            return max(self._part(element, start + index * size, depth + 1) for index in range(max(looked_at, 1)))
        if record.kind in _AGGREGATES:
            return self._members(record, start, depth + 1)
        own = self._btf.size_of(record.id)
        if own is None:
            self._cause = f"a member of it, {declaration(self._btf, type_id)}, is not known"
        if not own:
            return 1
        self._floating |= record.kind is Kind.FLOAT
        self._hold(8 * start, 8 * own)
        alignment = min(own, 16)
        self._misaligned |= start % alignment != 0
        return alignment

    def _hold(self, start: int, bits: int) -> None:
        """Note the words of a part; one that lies beyond the size (an array of no elements) takes none."""
        if self._size <= _IN_REGISTERS:
            for word in range(start // 64, min(-(-(start + bits) // 64), -(-self._size // 8))):
                self._held |= 1 << word


def _unqualified(btf: Btf, type_id: int) -> int:
    for _ in range(64):
        if type_id == VOID_ID:
            break
        record = btf.type(type_id)
        if record.kind not in _QUALIFIERS:
            return type_id
        type_id = record.target
    return VOID_ID
