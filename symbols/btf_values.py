"""BTF types as the rest of the program sees them: a ``CType`` to show and decode a value, a ``Shape`` to find it."""

from __future__ import annotations

import functools

from symbols.abi import aggregate
from symbols.abi.shape import Shape, scalar, unknown
from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import VOID_ID, BtfType
from symbols.c_declaration import declaration
from symbols.c_types import VOID, CType, TypeKind
from symbols.errors import BtfError

_QUALIFIERS = frozenset({Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG})
_AGGREGATES = frozenset({Kind.STRUCT, Kind.UNION})
_ENUMS = frozenset({Kind.ENUM, Kind.ENUM64})


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
        return aggregate.shape_of(_aggregate(btf, record), functools.partial(_part, btf), BtfError)
    return scalar(size, floating=record.kind is Kind.FLOAT)


def _part(btf: Btf, type_id: int) -> aggregate.Part[int]:
    record = btf.resolve(type_id)
    if record is None:
        raise BtfError("a member is void")
    if record.kind is Kind.ARRAY:
        element, count = btf.array(record)
        return aggregate.Array(element, btf.size_of(element) or 0, count)
    if record.kind in _AGGREGATES:
        return _aggregate(btf, record)
    return aggregate.Scalar(btf.size_of(record.id), record.kind is Kind.FLOAT, declaration(btf, type_id))


def _aggregate(btf: Btf, record: BtfType) -> aggregate.Aggregate[int]:
    members = (
        aggregate.Member(
            member.type, member.bit_offset, member.bit_size,
            None if member.bit_size is None else min(btf.size_of(member.type) or 1, 8),
        )
        for member in btf.members(record)
    )  # fmt: skip
    return aggregate.Aggregate(record.size or 0, members)


def _unqualified(btf: Btf, type_id: int) -> int:
    for _ in range(64):
        if type_id == VOID_ID:
            break
        record = btf.type(type_id)
        if record.kind not in _QUALIFIERS:
            return type_id
        type_id = record.target
    return VOID_ID
