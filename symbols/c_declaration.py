"""BTF types as C text: declarations that a C compiler would take, on one line.

C writes a type around the name that it declares (``int (*table[4])(char)``), so a declaration is built from the name
outwards: each pointer, array or parameter list is put around what is there already.
"""

from __future__ import annotations

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import VOID_ID, BtfType
from symbols.errors import BtfError

_QUALIFIERS = {Kind.CONST: "const", Kind.VOLATILE: "volatile", Kind.RESTRICT: "restrict"}
_KEYWORDS = {Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum", Kind.ENUM64: "enum"}
_ADDRESS_SPACES = {"user": "__user", "rcu": "__rcu", "percpu": "__percpu"}
"""Type tags that the kernel's sources write as words of their own (include/linux/compiler_types.h, since 5.18)."""

PLAIN_INTEGERS = {
    "long int": "long",
    "long unsigned int": "unsigned long",
    "long long int": "long long",
    "long long unsigned int": "unsigned long long",
    "short int": "short",
    "short unsigned int": "unsigned short",
    "_Bool": "bool",
}
"""The compiler's names for integer types, as people write them."""

_MAXIMUM_STEPS = 1000
"""Types looked at for one declaration; nothing real comes near, and damaged data must not keep anybody waiting."""
_MAXIMUM_DEPTH = 32
"""Functions that take functions that take functions ..."""


def declaration(btf: Btf, type_id: int, name: str = "") -> str:
    """The declaration of ``name`` as a type, or the type alone when there is no name.

    A struct, union or enum without a name of its own is written ``struct {...}``.

    Raises:
        BtfError: The type is damaged.
    """
    return _Writer(btf).declare(type_id, name)


def function_declaration(btf: Btf, prototype: BtfType, name: str) -> str:
    """The declaration of a function, without the semicolon.

    Raises:
        BtfError: A type of it is damaged.
    """
    return _Writer(btf).declare(prototype.id, name)


class _Writer:
    """Writes one declaration, within a limit of steps."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._left = _MAXIMUM_STEPS

    def declare(self, type_id: int, declarator: str, depth: int = 0) -> str:
        qualifiers: list[str] = []
        tags: list[str] = []
        pointer = False
        while type_id != VOID_ID:
            self._left -= 1
            if self._left < 0 or depth > _MAXIMUM_DEPTH:
                raise BtfError(f"type {type_id} is too entangled to be written out")
            record = self._btf.type(type_id)
            type_id = record.target
            if record.kind in _QUALIFIERS:
                qualifiers.append(_QUALIFIERS[record.kind])
            elif record.kind is Kind.TYPE_TAG:
                tags += filter(None, [_ADDRESS_SPACES.get(record.name)])
            elif record.kind is Kind.PTR:
                words = " ".join(qualifiers + tags)
                declarator = f"*{words} {declarator}".rstrip() if words else f"*{declarator}"
                qualifiers, tags, pointer = [], [], True
            elif record.kind in (Kind.ARRAY, Kind.FUNC_PROTO):
                if pointer:
                    declarator = f"({declarator})"
                    pointer = False
                if record.kind is Kind.ARRAY:
                    type_id, count = self._btf.array(record)
                    declarator += f"[{count}]" if count else "[]"
                else:
                    declarator += f"({self._parameters(record, depth + 1)})"
            else:
                return _join([*qualifiers, _base(record), *tags], declarator)
        return _join([*qualifiers, "void", *tags], declarator)

    def _parameters(self, prototype: BtfType, depth: int) -> str:
        parameters = self._btf.parameters(prototype)
        texts = [self.declare(type_id, name, depth) for name, type_id in parameters]
        if parameters and parameters[-1] == ("", VOID_ID):
            texts[-1] = "..."
        return ", ".join(texts) or "void"


def _base(record: BtfType) -> str:
    if record.kind in (Kind.INT, Kind.FLOAT, Kind.TYPEDEF):
        return PLAIN_INTEGERS.get(record.name, record.name) if record.kind is Kind.INT else record.name
    if record.kind is Kind.FWD:
        return f"{'union' if record.flag else 'struct'} {record.name}"
    keyword = _KEYWORDS.get(record.kind)
    if keyword is None:
        raise BtfError(f"type {record.id} is a {record.kind.name}, not the type of a value")
    return f"{keyword} {record.name or '{...}'}"


def _join(words: list[str], declarator: str) -> str:
    base = " ".join(words)
    return f"{base} {declarator}" if declarator else base
