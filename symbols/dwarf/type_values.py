"""DWARF types as the rest of the program sees them: a ``CType`` to show and decode a value, a ``Shape`` to find it."""

from __future__ import annotations

from symbols.abi.shape import Shape, ShapeKind, unknown
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
_MAXIMUM_PARTS = 4096
_MAXIMUM_DEPTH = 32
_IN_REGISTERS = 16


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
        return _AggregateWalk(size).shape(plain)
    if plain.tag == Tag.BASE_TYPE and plain.number(At.ENCODING) in (Encoding.FLOAT, Encoding.COMPLEX_FLOAT):
        return Shape(ShapeKind.FLOATING, size, size)
    if size == 16:
        return Shape(ShapeKind.WIDE, size, size)
    if size not in (1, 2, 4, 8):
        return unknown(f"an integer of {size} bytes")
    return Shape(ShapeKind.INTEGER, size, size)


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


class _AggregateWalk:
    """Looks at every part of a struct or union."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = _MAXIMUM_PARTS
        self._misaligned = False
        self._floating = False
        self._held = 0
        """A bit for each word that a member lies in."""
        self._cause = ""

    def shape(self, plain: Entry) -> Shape:
        alignment = self._members(plain, 0, 0)
        if self._cause:
            return unknown(self._cause)
        kind = ShapeKind.FLOATING if self._floating else ShapeKind.AGGREGATE
        hollow = self._size <= _IN_REGISTERS and self._held != (1 << -(-self._size // 8)) - 1
        said = plain.number(At.ALIGNMENT) is not None  # then an attribute tells it, and DWARF does
        return Shape(kind, self._size, alignment, self._misaligned, hollow=hollow, aligned=said)

    def _members(self, whole: Entry, start: int, depth: int) -> int:
        """Walk the members of a struct that lies at ``start``; returns its alignment."""
        alignment, packed = 1, False
        for member in whole.below():
            if member.tag != Tag.MEMBER:
                continue
            type_ = member.target(At.TYPE)
            if (bits := member.number(At.BIT_SIZE)) is not None:
                self._hold(8 * start + (member.number(At.DATA_BIT_OFFSET) or 0), bits)
                own = min(size_of(type_) or 1, 8)
            else:
                offset = member.number(At.DATA_MEMBER_LOCATION) or 0
                own = member.number(At.ALIGNMENT) or self._part(type_, start + offset, depth)
                packed |= offset % own != 0
            alignment = max(alignment, own)
        said = whole.number(At.ALIGNMENT)
        return said or (1 if packed or (whole.number(At.BYTE_SIZE) or 0) % alignment else alignment)

    def _part(self, type_: Entry | None, start: int, depth: int) -> int:
        """Look at a part of the whole that lies at ``start``; returns its alignment."""
        self._left -= 1
        if self._left < 0 or depth > _MAXIMUM_DEPTH:
            raise DebugInfoError("a type is too entangled to tell how it is passed")
        plain = resolve(type_)
        if plain is None:
            raise DebugInfoError("debug information is damaged: a member is void")
        if plain.tag == Tag.ARRAY_TYPE:
            element = plain.target(At.TYPE)
            size, count = size_of(element) or 0, 1
            for length in count_of(plain):
                count *= length
            looked_at = min(count, _IN_REGISTERS) if self._size <= _IN_REGISTERS else 1
            return max(self._part(element, start + index * size, depth + 1) for index in range(max(looked_at, 1)))
        if plain.tag in _AGGREGATES:
            return self._members(plain, start, depth + 1)
        own = size_of(plain)
        if own is None:
            self._cause = f"a member of it, {declaration(type_)}, is not known"
        if not own:
            return 1
        self._floating |= plain.number(At.ENCODING) in (Encoding.FLOAT, Encoding.COMPLEX_FLOAT)
        self._hold(8 * start, 8 * own)
        alignment = min(own, 16)
        self._misaligned |= start % alignment != 0
        return alignment

    def _hold(self, start: int, bits: int) -> None:
        """Note the words of a part; one that lies beyond the size (an array of no elements) takes none."""
        if self._size <= _IN_REGISTERS:
            for word in range(start // 64, min(-(-(start + bits) // 64), -(-self._size // 8))):
                self._held |= 1 << word


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
