"""DWARF types as the rest of the program sees them: a ``CType`` to show and decode a value, a ``Shape`` to find it."""

from __future__ import annotations

import math

from symbols.abi import aggregate
from symbols.abi.shape import Shape, scalar, unknown
from symbols.c_types import UNKNOWN_TYPE, VOID, CType, TypeKind
from symbols.dwarf.c_text import QUALIFIERS, count_of, declaration
from symbols.dwarf.constants import At, Encoding, Tag
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.units import Entry

_AGGREGATES = (Tag.STRUCTURE_TYPE, Tag.UNION_TYPE)
_KINDS = {
    Encoding.BOOLEAN: TypeKind.BOOL, Encoding.FLOAT: TypeKind.FLOAT, Encoding.COMPLEX_FLOAT: TypeKind.FLOAT,
    Encoding.SIGNED: TypeKind.SIGNED, Encoding.SIGNED_CHAR: TypeKind.SIGNED,
    Encoding.UNSIGNED: TypeKind.UNSIGNED, Encoding.UNSIGNED_CHAR: TypeKind.UNSIGNED,
}  # fmt: skip
_MOST_STEPS = 64
_FLOATING = (Encoding.FLOAT, Encoding.COMPLEX_FLOAT)


def c_type(type_: Entry | None) -> CType:
    """The type of a value; None is void.

    Raises:
        DebugInfoError: It is damaged.
    """
    text = declaration(type_)
    plain = resolve(type_)
    if plain is None:
        return VOID if text == "void" else CType(text, TypeKind.VOID, 0)
    size = size_of(plain)
    if plain.tag == Tag.POINTER_TYPE:
        pointee = _unqualified(plain.target(At.TYPE))
        behind = resolve(pointee)
        pointee_size = None if behind is None or behind.tag == Tag.SUBROUTINE_TYPE else size_of(behind)
        return CType(text, TypeKind.POINTER, size, declaration(pointee), pointee_size)
    if plain.tag == Tag.BASE_TYPE:
        kind = _KINDS.get(plain.number(At.ENCODING), TypeKind.UNKNOWN)  # type: ignore[call-overload]
        return CType(text, kind, size)
    if plain.tag == Tag.ENUMERATION_TYPE:
        values = ((child.text(At.NAME), child.number(At.CONST_VALUE)) for child in plain.below())
        named = tuple((name, _signed(value, size)) for name, value in values if value is not None)
        return CType(text, TypeKind.ENUM, size, enumerators=named)
    if plain.tag in _AGGREGATES or plain.tag == Tag.ARRAY_TYPE:
        return CType(text, TypeKind.AGGREGATE, size)
    return CType(text, UNKNOWN_TYPE.kind, size)


def shape_of(type_: Entry | None) -> Shape:
    """The shape of a parameter or result that is not ``void``.

    Raises:
        DebugInfoError: The type is damaged.
    """
    plain = resolve(type_)
    if plain is None or plain.tag in (Tag.SUBROUTINE_TYPE, Tag.ARRAY_TYPE):
        return unknown(f"{declaration(type_)} cannot be passed by value")
    size = size_of(plain)
    if size is None:
        return unknown(f"the size of {declaration(type_)} is not known")
    if plain.tag in _AGGREGATES:
        return aggregate.shape_of(_aggregate(plain), _part, DebugInfoError)
    return scalar(size, floating=plain.tag == Tag.BASE_TYPE and plain.number(At.ENCODING) in _FLOATING)


def resolve(type_: Entry | None) -> Entry | None:
    """What a type comes down to once typedefs and qualifiers are looked through; None is void."""
    for _ in range(_MOST_STEPS):
        if type_ is None or (type_.tag != Tag.TYPEDEF and type_.tag not in QUALIFIERS):
            return type_
        type_ = type_.target(At.TYPE)
    raise DebugInfoError("a type is too entangled")


def size_of(type_: Entry | None) -> int | None:
    """Bytes of a value; None where that is not known."""
    plain = resolve(type_)
    if plain is None:
        return None
    size = plain.number(At.BYTE_SIZE)
    if size is not None:
        return size
    if plain.tag == Tag.POINTER_TYPE:
        return plain.unit.encoding.address_size
    if plain.tag == Tag.ARRAY_TYPE:
        element = size_of(plain.target(At.TYPE))
        if element is None:
            return None
        for count in count_of(plain):
            element *= count
        return element
    return None


def _part(type_: Entry | None) -> aggregate.Part[Entry | None]:
    plain = resolve(type_)
    if plain is None:
        raise DebugInfoError("debug information is damaged: a member is void")
    if plain.tag == Tag.ARRAY_TYPE:
        element = plain.target(At.TYPE)
        return aggregate.Array(element, size_of(element) or 0, math.prod(count_of(plain)))
    if plain.tag in _AGGREGATES:
        return _aggregate(plain)
    return aggregate.Scalar(size_of(plain), plain.number(At.ENCODING) in _FLOATING, declaration(type_))


def _aggregate(plain: Entry) -> aggregate.Aggregate[Entry | None]:
    members = (_member(child) for child in plain.below() if child.tag == Tag.MEMBER)
    return aggregate.Aggregate(plain.number(At.BYTE_SIZE) or 0, members, plain.number(At.ALIGNMENT))


def _member(member: Entry) -> aggregate.Member[Entry | None]:
    type_ = member.target(At.TYPE)
    if (bits := member.number(At.BIT_SIZE)) is not None:
        return aggregate.Member(type_, member.number(At.DATA_BIT_OFFSET) or 0, bits, min(size_of(type_) or 1, 8))
    offset = member.number(At.DATA_MEMBER_LOCATION) or 0
    return aggregate.Member(type_, 8 * offset, alignment=member.number(At.ALIGNMENT))


def _unqualified(type_: Entry | None) -> Entry | None:
    for _ in range(_MOST_STEPS):
        if type_ is None or type_.tag not in QUALIFIERS:
            return type_
        type_ = type_.target(At.TYPE)
    raise DebugInfoError("a type is too entangled")


def _signed(value: int, size: int | None) -> int:
    """An enumerator as an ``int`` has it, whichever form it was written in."""
    bits = 8 * (size or 4)
    return value - (1 << bits) if bits == 64 and value >> 63 else value
