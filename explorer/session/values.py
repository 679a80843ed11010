"""What the raw values of an event mean: integers cut to their type, pointer classes, text, names of errors.

Strings come from processes and are hostile: everything here returns text without control characters, and callers
must not parse it as markup.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence

from explorer.session.error_names import MAX_ERRNO, error_name
from explorer.session.events import Event
from explorer.session.probe import RETURNED, Field
from symbols.c_types import CType, TypeKind

AT_FDCWD = -100
_DIRECTORY_NAMES = frozenset({"dfd", "dirfd", "olddfd", "newdfd", "olddirfd", "newdirfd", "fromdfd", "todfd"})
_MASK = (1 << 64) - 1


class ValueClass(enum.Enum):
    """What sort of thing a value is; screens colour by it."""

    NUMBER = "number"
    STRING = "string"
    ENUMERATOR = "enumerator"
    ERROR = "error"
    NULL = "null"
    USER = "user pointer"
    KERNEL = "kernel pointer"
    NON_CANONICAL = "no address"
    FAULT = "fault"
    UNREAD = "not read"


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """One value of an event, ready to be shown.

    Attributes:
        raw: The number as the type has it (a ``char *``: the address); None where it could not be read.
        text: What a person reads; printable characters only.
        value_class: What sort of thing it is.
        string: The text that a ``char *`` points to, as it is: hostile, not for a terminal; None for all others.
    """

    name: str
    raw: int | None
    text: str
    value_class: ValueClass
    string: str | None = None

    def to_json(self) -> dict[str, int | str | None]:
        """One of the ``values`` of ``trace --json``."""
        return {"raw": self.raw, "text": self.text if self.string is None else self.string}


@dataclasses.dataclass(frozen=True, slots=True)
class AddressSpace:
    """Where user addresses end and kernel addresses begin (Documentation/arch/x86/x86_64/mm.rst, arm64/memory.rst)."""

    user_end: int
    kernel_start: int

    def classify(self, address: int) -> ValueClass:
        """The class of a pointer's value; ERROR for an ERR_PTR."""
        if address == 0:
            return ValueClass.NULL
        if address > _MASK - MAX_ERRNO:
            return ValueClass.ERROR
        if address >= self.kernel_start:
            return ValueClass.KERNEL
        return ValueClass.USER if address < self.user_end else ValueClass.NON_CANONICAL


FOUR_LEVEL = AddressSpace(0x0000_8000_0000_0000, 0xFFFF_8000_0000_0000)
"""x86-64 with four-level paging."""
FIVE_LEVEL = AddressSpace(0x0100_0000_0000_0000, 0xFF00_0000_0000_0000)
"""x86-64 with five-level paging (``la57`` among the flags of /proc/cpuinfo)."""
ARM64 = AddressSpace(0x0010_0000_0000_0000, 0xFFF0_0000_0000_0000)
"""aarch64, the widest (52-bit) layout: a 48-bit kernel uses a part of each half."""


def address_space(machine: str, cpu_flags: frozenset[str] = frozenset()) -> AddressSpace:
    """The layout of a machine (``uname -m``) with these CPU flags."""
    if machine == "aarch64":
        return ARM64
    return FIVE_LEVEL if "la57" in cpu_flags else FOUR_LEVEL


def printable(text: str) -> str:
    """``text`` with everything that could move a cursor or break a line written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8 (surrogateescape)
        return f"\\x{code - 0xDC00:02x}"
    simple = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character)
    return simple or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def interpret(c_type: CType, raw: int, space: AddressSpace, *, name: str = "", returned: bool = False) -> Value:
    """The meaning of one raw integer.

    Args:
        c_type: Its type; only the low ``size`` bytes of ``raw`` count.
        raw: Any 64-bit pattern, signed or unsigned.
        space: For pointers.
        name: The parameter's name; ``dfd`` and its like may hold AT_FDCWD.
        returned: Whether it is a return value: negative numbers are then looked up as errors.
    """
    bits = c_type.bits or min(c_type.size or 8, 8) * 8
    unsigned = raw & ((1 << bits) - 1)
    signed = unsigned - (1 << bits) if unsigned >> (bits - 1) else unsigned
    match c_type.kind:
        case TypeKind.POINTER:
            return _pointer(name, unsigned, space)
        case TypeKind.BOOL:
            words = {0: "false", 1: "true"}
            return Value(name, unsigned, words.get(unsigned, f"{unsigned:#x}"), ValueClass.NUMBER)
        case TypeKind.ENUM:
            return _enumerator(name, c_type, unsigned, signed)
        case TypeKind.SIGNED:
            if returned and (error := error_name(signed)):
                return Value(name, signed, error, ValueClass.ERROR)
            if signed == AT_FDCWD and name in _DIRECTORY_NAMES:
                return Value(name, signed, "AT_FDCWD", ValueClass.ENUMERATOR)
            return Value(name, signed, str(signed), ValueClass.NUMBER)
        case TypeKind.UNSIGNED:
            text = str(unsigned) if unsigned < 1 << 20 else f"{unsigned:#x}"
            return Value(name, unsigned, text, ValueClass.NUMBER)
        case _:
            return Value(name, unsigned, f"{unsigned:#x}", ValueClass.NUMBER)


def _pointer(name: str, address: int, space: AddressSpace) -> Value:
    value_class = space.classify(address)
    match value_class:
        case ValueClass.NULL:
            text = "NULL"
        case ValueClass.ERROR:
            number = address - (1 << 64)
            text = f"ERR_PTR({error_name(number) or number})"
        case ValueClass.USER:
            text = f"user:{address:#x}"
        case ValueClass.KERNEL:
            text = f"kernel:{address:#x}"
        case _:
            text = f"non-canonical:{address:#x}"
    return Value(name, address, text, value_class)


def _enumerator(name: str, c_type: CType, unsigned: int, signed: int) -> Value:
    for label, number in c_type.enumerators:
        if number in (unsigned, signed):
            return Value(name, number, label, ValueClass.ENUMERATOR)
    return Value(name, signed, str(signed), ValueClass.NUMBER)


def quoted(text: str) -> str:
    """A string as C would write it, harmless on a terminal."""
    return '"' + printable(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def describe(event: Event, space: AddressSpace) -> list[Value]:
    """All values of an event by name, in the order of the prototype."""
    values: list[Value] = []
    position = 0
    for field in event.probe.fields:
        raw = event.raw[position : position + field.reads]
        position += field.reads
        if position > len(event.raw):  # a call whose return was not seen
            break
        values.append(_field_value(field, raw, space, field.name == RETURNED))
    return values


def _field_value(field: Field, raw: Sequence[int | str | None], space: AddressSpace, returned: bool) -> Value:
    if not field.reads:
        return Value(field.name, None, f"({field.cause})", ValueClass.UNREAD)
    number = raw[0]
    if not isinstance(number, int):
        return Value(field.name, None, "(fault)", ValueClass.FAULT)
    if field.string_at is not None:
        return _string(field.name, number, raw[field.string_at], space)
    if field.reads > 1:
        words = [f"{word & _MASK:#x}" if isinstance(word, int) else "(fault)" for word in raw]
        return Value(field.name, number, "{" + ", ".join(words) + "}", ValueClass.NUMBER)
    if field.by_reference:
        return _pointer(field.name, number & _MASK, space)
    return interpret(field.type, number, space, name=field.name, returned=returned)


def _string(name: str, address: int, text: int | str | None, space: AddressSpace) -> Value:
    pointer = _pointer(name, address & _MASK, space)
    if pointer.value_class not in (ValueClass.USER, ValueClass.KERNEL):
        return pointer
    if not isinstance(text, str):
        return Value(name, pointer.raw, f"(fault) {pointer.text}", ValueClass.FAULT)
    return Value(name, pointer.raw, quoted(text), ValueClass.STRING, text)
