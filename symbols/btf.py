"""BTF, the type information that a kernel carries of itself: which types there are, and what each record says.

The reader indexes all types in one pass over the words and decodes a record when it is asked for. Nothing in the data
is believed: type ids, offsets and lengths are checked where they are used, and every walk along a chain is bounded.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence

from symbols.btf_format import (
    FIXED_WORDS,
    KINDS_WITH_SIZE,
    MODIFIERS,
    RECORD_WORDS,
    WORDS_PER_MEMBER,
    Kind,
    read_header,
)
from symbols.btf_records import VOID_ID, BtfType, Integer, Member
from symbols.errors import BtfError

_MAXIMUM_CHAIN = 64
"""Longest chain of typedefs, qualifiers and arrays that is followed (the kernel itself stops at 32)."""

_READABLE = bytes(byte if 0x20 <= byte < 0x7F or byte == 0 else ord("?") for byte in range(256))
"""Names are shown to people: what is no printable ASCII does not reach a terminal."""

_SIGNED, _BOOL = 1, 4
_FUNC = int(Kind.FUNC)
_POINTER_SIZE = 8
"""Every architecture with a calling convention table is a 64-bit one."""


class Btf:
    """The types of a kernel, or, with ``base``, of one of its modules (split BTF).

    Type ids and string offsets of a module continue those of the kernel.

    Attributes:
        base: The kernel's BTF, for a module's.
    """

    def __init__(self, data: bytes, base: Btf | None = None) -> None:
        """Index the types.

        Args:
            data: A whole file of /sys/kernel/btf.
            base: The kernel's BTF when ``data`` is a module's.

        Raises:
            BtfError: It is damaged or of a kind that this reader does not know.
        """
        header = read_header(data, split=base is not None)
        self.base = base
        self._words = _words(data[slice(*header.types)], header.byte_order)
        self._strings = data[slice(*header.strings)].translate(_READABLE).decode("ascii")
        self._first_id: int = base.end_id if base else 1
        self._first_string: int = base._string_end if base else 0
        self._string_end: int = self._first_string + len(self._strings)
        self._starts = array("I")
        self._functions: dict[str, int] = {}
        self._more_functions: dict[str, list[int]] = {}
        self._index()
        self.end_id: int = self._first_id + len(self._starts)

    def _index(self) -> None:
        """Note where each record starts, and the names of the functions."""
        words, end = self._words, len(self._words)
        note, fixed, per_member = self._starts.append, FIXED_WORDS, WORDS_PER_MEMBER
        functions = array("I")
        type_id = self._first_id
        position = 0
        while position + RECORD_WORDS <= end:
            info = words[position + 1]
            kind = info >> 24 & 0x1F
            note(position)
            if kind == _FUNC:
                functions.append(type_id)
                position += RECORD_WORDS
            elif kind in fixed:
                position += fixed[kind]
            elif kind in per_member:
                position += RECORD_WORDS + per_member[kind] * (info & 0xFFFF)
            else:
                where = f"type {type_id} at byte {4 * position} of the type section"
                raise BtfError(f"unknown BTF kind {kind} of {where}", "use a newer kexplore")
            type_id += 1
        if position != end:
            raise BtfError(f"BTF breaks off inside type {type_id} or before, at byte {4 * end} of the type section")
        for type_id in functions:
            name = self._string(words[self._starts[type_id - self._first_id]])
            if self._functions.setdefault(name, type_id) != type_id:
                self._more_functions.setdefault(name, [self._functions[name]]).append(type_id)

    def __len__(self) -> int:
        """The number of its own types, without the base's."""
        return len(self._starts)

    @property
    def function_names(self) -> Sequence[str]:
        """The names of its own functions."""
        return list(self._functions)

    @property
    def own_ids(self) -> range:
        """The ids of its own types."""
        return range(self._first_id, self.end_id)

    def functions(self, name: str) -> Sequence[int]:
        """The ids of its own functions of this name."""
        if name in self._more_functions:
            return self._more_functions[name]
        type_id = self._functions.get(name)
        return () if type_id is None else (type_id,)

    def find(self, kind: Kind, name: str) -> int | None:
        """The id of the first type of this kind and name, the base's first; None when there is none.

        It looks at all types: good for a few questions, not for thousands.
        """
        if self.base is not None and (found := self.base.find(kind, name)) is not None:
            return found
        for type_id, start in enumerate(self._starts, self._first_id):
            if self._words[start + 1] >> 24 & 0x1F == kind and self._string(self._words[start]) == name:
                return type_id
        return None

    def named(self, kinds: Iterable[Kind]) -> list[tuple[int, str]]:
        """The ids and names of its own types of these kinds, in the order of ids; nameless ones are left out.

        Raises:
            BtfError: A name is damaged.
        """
        wanted = frozenset(map(int, kinds))
        words = self._words
        return [
            (type_id, self._string(words[start]))
            for type_id, start in enumerate(self._starts, self._first_id)
            if words[start] and words[start + 1] >> 24 & 0x1F in wanted
        ]

    def type(self, type_id: int) -> BtfType:
        """The record of a type.

        Raises:
            BtfError: No type has this id (``VOID_ID`` has no record either).
        """
        owner, start = self._locate(type_id)
        name, info, size_or_type = owner._words[start : start + 3]
        kind = Kind(info >> 24 & 0x1F)
        sized = kind in KINDS_WITH_SIZE
        return BtfType(
            type_id,
            kind,
            self._string(name),
            info & 0xFFFF,
            bool(info >> 31),
            size_or_type if sized else None,
            VOID_ID if sized or kind is Kind.FWD else size_or_type,
        )

    def members(self, record: BtfType) -> list[Member]:
        """The members of a STRUCT or UNION."""
        _expect(record, Kind.STRUCT, Kind.UNION)
        result = []
        words = self._tail(record, 3 * record.length)
        for name, type_id, offset in zip(words[0::3], words[1::3], words[2::3], strict=True):
            bits = None
            if record.flag:
                bits, offset = offset >> 24 or None, offset & 0xFFFFFF
            result.append(Member(self._string(name), type_id, offset, bits))
        return result

    def enumerators(self, record: BtfType) -> list[tuple[str, int]]:
        """The names and values of an ENUM or ENUM64, in the order of their declaration."""
        _expect(record, Kind.ENUM, Kind.ENUM64)
        if record.kind is Kind.ENUM64:
            words = self._tail(record, 3 * record.length)
            values = [low | high << 32 for low, high in zip(words[1::3], words[2::3], strict=True)]
            names, sign = words[0::3], 1 << 63
        else:
            words = self._tail(record, 2 * record.length)
            names, values, sign = words[0::2], list(words[1::2]), 1 << 31
        if record.flag:
            values = [value - 2 * sign if value & sign else value for value in values]
        return [(self._string(name), value) for name, value in zip(names, values, strict=True)]

    def parameters(self, record: BtfType) -> list[tuple[str, int]]:
        """The names and type ids of the parameters of a FUNC_PROTO; a last ("", ``VOID_ID``) stands for ``...``."""
        _expect(record, Kind.FUNC_PROTO)
        words = self._tail(record, 2 * record.length)
        return [(self._string(name), type_id) for name, type_id in zip(words[0::2], words[1::2], strict=True)]

    def signature(self, prototype: int) -> Sequence[int]:
        """The type ids of what a FUNC_PROTO returns and of its parameters, as ``parameters`` has them; for thousands.

        Raises:
            BtfError: No type has this id, or it is none.
        """
        owner, start = self._locate(prototype)
        info = owner._words[start + 1]
        if info >> 24 & 0x1F != Kind.FUNC_PROTO:
            raise BtfError(f"type {prototype} is not a {Kind.FUNC_PROTO.name}")
        return owner._words[start + 2 : start + 3 + 2 * (info & 0xFFFF) : 2]

    def array(self, record: BtfType) -> tuple[int, int]:
        """The element's type id and the number of elements of an ARRAY."""
        _expect(record, Kind.ARRAY)
        element, _, count = self._tail(record, 3)
        return element, count

    def integer(self, record: BtfType) -> Integer:
        """The encoding of an INT."""
        _expect(record, Kind.INT)
        (word,) = self._tail(record, 1)
        encoding = word >> 24 & 0x0F
        return Integer(bool(encoding & _SIGNED), bool(encoding & _BOOL), word & 0xFF)

    def resolve(self, type_id: int) -> BtfType | None:
        """The type that is left when typedefs, qualifiers and tags are looked through; None for ``void``.

        Raises:
            BtfError: The chain runs in a circle, or names a type that does not exist.
        """
        for _ in range(_MAXIMUM_CHAIN):
            if type_id == VOID_ID:
                return None
            record = self.type(type_id)
            if record.kind not in MODIFIERS:
                return record
            type_id = record.target
        raise BtfError(f"type {type_id} is defined by itself")

    def size_of(self, type_id: int) -> int | None:
        """The size in bytes of a value of this type; None for ``void``, functions and forward declarations.

        Raises:
            BtfError: As for ``resolve``.
        """
        elements = 1
        for _ in range(_MAXIMUM_CHAIN):
            record = self.resolve(type_id)
            if record is None:
                return None
            if record.kind is Kind.PTR:
                return elements * _POINTER_SIZE
            if record.kind is not Kind.ARRAY:
                return None if record.size is None else elements * record.size
            type_id, count = self.array(record)
            elements *= count
        raise BtfError(f"type {type_id} is an array of itself")

    def _locate(self, type_id: int) -> tuple[Btf, int]:
        owner = self
        while type_id < owner._first_id and owner.base is not None:
            owner = owner.base
        if not owner._first_id <= type_id < owner.end_id:
            raise BtfError(f"BTF has no type {type_id}")
        return owner, owner._starts[type_id - owner._first_id]

    def _tail(self, record: BtfType, words: int) -> Sequence[int]:
        owner, start = self._locate(record.id)
        return owner._words[start + 3 : start + 3 + words]

    def _string(self, offset: int) -> str:
        owner = self
        while offset < owner._first_string and owner.base is not None:
            owner = owner.base
        start = offset - owner._first_string
        if start >= len(owner._strings):
            if offset == 0:
                return ""
            raise BtfError(f"a BTF name lies at {offset}, outside the strings")
        return owner._strings[start : owner._strings.index("\0", start)]


def _expect(record: BtfType, *kinds: Kind) -> None:
    if record.kind not in kinds:
        raise BtfError(f"type {record.id} is a {record.kind.name}, not a {' or '.join(kind.name for kind in kinds)}")


def _words(section: bytes, byte_order: str) -> Sequence[int]:
    if byte_order == sys.byteorder:
        return memoryview(section).cast("I")
    words = array("I", section)
    words.byteswap()
    return words
