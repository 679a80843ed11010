"""Types by their names: as a person writes them, as BTF has them, and when the one means the other."""

from __future__ import annotations

import dataclasses
import re

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import VOID_ID
from symbols.errors import BtfError, Category, KexploreError

_IGNORED = frozenset({"const", "volatile", "restrict", "__restrict", "__user", "__rcu", "__percpu", "__iomem"})
_KEYWORDS = frozenset({"struct", "union", "enum"})
_OWN = frozenset({
    "unsigned", "signed", "long", "short", "int", "char", "bool", "_Bool", "void", "float", "double", "__int128",
})  # fmt: skip
"""The words of C's own types."""

_TOKEN = re.compile(r"\s*(?:([A-Za-z_]\w*)|(\*)|(\S))")

_LOOKED_THROUGH = frozenset({Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG})
_KEYWORD_OF = {Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum", Kind.ENUM64: "enum"}
_LONGEST_CHAIN = 64


class TypeNameError(KexploreError):
    """A text names no type; ``at`` is the position of the first letter that is wrong."""

    category = Category.USAGE

    def __init__(self, message: str, hint: str, at: int) -> None:
        super().__init__(message, hint)
        self.at = at


@dataclasses.dataclass(frozen=True, slots=True)
class TypeName:
    """A type without its qualifiers.

    Attributes:
        keyword: ``struct``, ``union`` or ``enum``; "" for C's own types, for typedefs and for ``void``.
        name: "" for what has none of its own, and for functions and arrays behind pointers.
        depth: How many pointers lead to it.
    """

    keyword: str
    name: str
    depth: int

    def __str__(self) -> str:
        return f"{self.keyword} {self.name} {'*' * self.depth}".strip()


@dataclasses.dataclass(frozen=True, slots=True)
class TypePattern:
    """What a type in a query means.

    Attributes:
        name: The name.
        keyword: None when it was left out of a name that is none of C's own: any will do.
        depth: How many pointers; None: any number.
    """

    name: str
    keyword: str | None
    depth: int | None

    def means(self, other: TypeName) -> bool:
        """Whether a type is meant."""
        return (
            self.name == other.name
            and self.keyword in (None, other.keyword)
            and self.depth in (None, other.depth)
        )  # fmt: skip


def read_pattern(text: str) -> TypePattern:
    """Read a type as it stands in a query.

    Raises:
        TypeNameError: It is none.
    """
    words, depth = _words_of(text)
    if words[0] not in _KEYWORDS and words[0] not in _OWN and len(words) == 1:
        return TypePattern(words[0], None, depth or None)
    name = _name(words, depth)
    return TypePattern(name.name, name.keyword, name.depth)


def read_type(text: str) -> TypeName:
    """Read a type as a declaration has it.

    Raises:
        TypeNameError: It is none, or that of a function or an array.
    """
    return _name(*_words_of(text))


def name_in(btf: Btf, type_id: int) -> TypeName:
    """The name of a type of BTF.

    Raises:
        BtfError: It is damaged.
    """
    depth = 0
    for _ in range(_LONGEST_CHAIN):
        if type_id == VOID_ID:
            return TypeName("", "void", depth)
        record = btf.type(type_id)
        if record.kind is Kind.PTR:
            depth += 1
        elif record.kind in _KEYWORD_OF:
            return TypeName(_KEYWORD_OF[record.kind], record.name, depth)
        elif record.kind is Kind.FWD:
            return TypeName("union" if record.flag else "struct", record.name, depth)
        elif record.kind in (Kind.INT, Kind.FLOAT):
            words = record.name.split()
            return TypeName("", _own_type(words) if _OWN.issuperset(words) else record.name, depth)
        elif record.kind is Kind.TYPEDEF:
            return TypeName("", record.name, depth)
        elif record.kind not in _LOOKED_THROUGH:
            return TypeName("", "", depth)
        type_id = record.target
    raise BtfError(f"type {type_id} is defined by itself")


def _words_of(text: str) -> tuple[list[str], int]:
    """The words and the number of stars of a type."""
    words: list[str] = []
    depth = position = 0
    while match := _TOKEN.match(text, position):
        word, star, wrong = match.groups()
        at = match.end() - 1 if wrong or star else match.start(1)
        if wrong in ("(", "["):
            raise TypeNameError("types of functions and arrays have no name", "ask for a typedef by its name", at)
        if wrong:
            raise TypeNameError(f"{wrong!r} belongs to no type", 'as in C: "struct bio *"', at)
        if star:
            if not words:
                raise TypeNameError("a pointer to what?", 'as in C: "struct bio *"', at)
            depth += 1
        elif word not in _IGNORED:
            if depth:
                raise TypeNameError(f"{word!r} behind the type", "the type alone, without a name", at)
            words.append(word)
        position = match.end()
    if not words:
        raise TypeNameError("the type is missing", 'as in C: "struct bio *", int, gfp_t', len(text))
    return words, depth


def _name(words: list[str], depth: int) -> TypeName:
    first, *rest = words
    if _OWN.issuperset(words):
        return TypeName("", _own_type(words), depth)
    if first in _KEYWORDS and not rest:
        raise TypeNameError(f"which {first}?", f"{first} NAME", len(first))
    if len(words) > (2 if first in _KEYWORDS else 1):
        raise TypeNameError(f"{' '.join(words)!r} is no type", 'as in C: "struct bio *", int, gfp_t', 0)
    return TypeName(first, rest[0], depth) if first in _KEYWORDS else TypeName("", first, depth)


def _own_type(words: list[str]) -> str:
    """One spelling for each of C's own types: ``long unsigned int`` is ``unsigned long``."""
    sign = "unsigned " if "unsigned" in words else ""
    for word in ("void", "float", "__int128", "short"):
        if word in words:
            return sign + word
    if "bool" in words or "_Bool" in words:
        return "bool"
    if "char" in words:
        return "signed char" if "signed" in words else f"{sign}char"
    longs = words.count("long")
    if "double" in words:
        return "long " * longs + "double"
    return sign + (" ".join(["long"] * longs) or "int")
