"""Writes BTF data for tests: any kind, either byte order, split or not, sound or damaged."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from symbols.btf_format import Kind

_SIGNED, _BOOL = 1, 4


class BtfBuilder:
    """Collects types and strings; every method that adds a type returns its id."""

    def __init__(self, byte_order: str = "little", base: BtfBuilder | None = None) -> None:
        self._sign = "<" if byte_order == "little" else ">"
        self._types = bytearray()
        self._strings = bytearray() if base else bytearray(b"\0")
        self._first_string: int = base.string_end if base else 0
        self._offsets: dict[str, int] = {"": 0}
        self.next_id: int = base.next_id if base else 1

    @property
    def string_end(self) -> int:
        return self._first_string + len(self._strings)

    def string(self, text: str) -> int:
        if text not in self._offsets:
            self._offsets[text] = self.string_end
            self._strings += text.encode() + b"\0"
        return self._offsets[text]

    def record(
        self, kind: int, name: str = "", length: int = 0, value: int = 0, tail: Sequence[int] = (), flag: bool = False
    ) -> int:
        """Any record: ``value`` is its size or type, ``tail`` the words behind it."""
        info = length | kind << 24 | flag << 31
        words = [self.string(name), info, value, *tail]
        self._types += struct.pack(f"{self._sign}{len(words)}I", *(word & 0xFFFFFFFF for word in words))
        self.next_id += 1
        return self.next_id - 1

    def integer(self, name: str, size: int, signed: bool = False, boolean: bool = False, bits: int = 0) -> int:
        encoding = _SIGNED * signed | _BOOL * boolean
        return self.record(Kind.INT, name, 0, size, [encoding << 24 | (bits or 8 * size) & 0xFF])

    def floating(self, name: str, size: int) -> int:
        return self.record(Kind.FLOAT, name, 0, size)

    def pointer(self, target: int) -> int:
        return self.record(Kind.PTR, value=target)

    def const(self, target: int) -> int:
        return self.record(Kind.CONST, value=target)

    def volatile(self, target: int) -> int:
        return self.record(Kind.VOLATILE, value=target)

    def restrict(self, target: int) -> int:
        return self.record(Kind.RESTRICT, value=target)

    def typedef(self, name: str, target: int) -> int:
        return self.record(Kind.TYPEDEF, name, value=target)

    def tag(self, name: str, target: int) -> int:
        return self.record(Kind.TYPE_TAG, name, value=target)

    def forward(self, name: str, union: bool = False) -> int:
        return self.record(Kind.FWD, name, flag=union)

    def array(self, element: int, count: int) -> int:
        return self.record(Kind.ARRAY, tail=[element, 0, count])

    def struct(self, name: str, size: int, members: Sequence[tuple[str, int, int]], kind: Kind = Kind.STRUCT) -> int:
        """``members`` are (name, type, offset in bits)."""
        tail = [word for member, type_id, bits in members for word in (self.string(member), type_id, bits)]
        return self.record(kind, name, len(members), size, tail)

    def bit_fields(self, struct_name: str, size: int, members: Sequence[tuple[str, int, int, int]]) -> int:
        """``members`` are (name, type, offset in bits, width in bits or 0)."""
        tail = [
            word for member, type_id, at, width in members for word in (self.string(member), type_id, width << 24 | at)
        ]
        return self.record(Kind.STRUCT, struct_name, len(members), size, tail, flag=True)

    def enum(self, name: str, values: Sequence[tuple[str, int]], signed: bool = False, size: int = 4) -> int:
        tail = [word for member, value in values for word in (self.string(member), value)]
        return self.record(Kind.ENUM, name, len(values), size, tail, signed)

    def enum64(self, name: str, values: Sequence[tuple[str, int]], signed: bool = False) -> int:
        tail = [word for member, value in values for word in (self.string(member), value, value >> 32)]
        return self.record(Kind.ENUM64, name, len(values), 8, tail, signed)

    def prototype(self, result: int, parameters: Sequence[tuple[str, int]]) -> int:
        tail = [word for name, type_id in parameters for word in (self.string(name), type_id)]
        return self.record(Kind.FUNC_PROTO, "", len(parameters), result, tail)

    def function(self, name: str, result: int, parameters: Sequence[tuple[str, int]]) -> int:
        return self.record(Kind.FUNC, name, 1, self.prototype(result, parameters))

    def build(self) -> bytes:
        types, strings = bytes(self._types), bytes(self._strings)
        header = struct.pack(f"{self._sign}HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
        return header + types + strings
