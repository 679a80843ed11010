"""DWARF types as C text, on one line; the words are those of ``symbols.c_declaration``, which does it for BTF."""

from __future__ import annotations

from symbols.c_declaration import PLAIN_INTEGERS
from symbols.dwarf.constants import At, Tag
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.units import Entry

QUALIFIERS = {
    Tag.CONST_TYPE: "const", Tag.VOLATILE_TYPE: "volatile", Tag.RESTRICT_TYPE: "restrict", Tag.ATOMIC_TYPE: "_Atomic",
}  # fmt: skip
_KEYWORDS = {Tag.STRUCTURE_TYPE: "struct", Tag.UNION_TYPE: "union", Tag.ENUMERATION_TYPE: "enum"}
_MAXIMUM_STEPS = 1000
_MAXIMUM_DEPTH = 32


def declaration(type_: Entry | None, name: str = "") -> str:
    """The declaration of ``name`` as a type (None: void), or the type alone.

    Raises:
        DebugInfoError: The type is damaged.
    """
    return _Writer().declare(type_, name)


def function_declaration(function: Entry, name: str) -> str:
    """The declaration of a function, without the semicolon.

    Args:
        function: A subprogram or subroutine type that holds its own parameters: of a concrete instance the origin.
        name: As it is called.
    """
    return _Writer().function(function, name)


def count_of(array: Entry) -> list[int]:
    """The lengths of an array, outermost first; 0 where one is open."""
    counts = []
    for bound in array.below():
        if bound.tag == Tag.SUBRANGE_TYPE:
            count, upper = bound.number(At.COUNT), bound.number(At.UPPER_BOUND)
            wide = upper is not None and upper >= (1 << 63)  # -1 written in 8 bytes: a length of zero
            counts.append(count if count is not None else 0 if upper is None or wide else max(upper + 1, 0))
    return counts


class _Writer:
    """Writes one declaration, within a limit of steps."""

    def __init__(self) -> None:
        self._left = _MAXIMUM_STEPS

    def declare(self, type_: Entry | None, declarator: str, depth: int = 0) -> str:
        qualifiers: list[str] = []
        pointer = False
        while type_ is not None:
            self._left -= 1
            if self._left < 0 or depth > _MAXIMUM_DEPTH:
                raise DebugInfoError("a type is too entangled to be written out")
            if type_.tag in QUALIFIERS:
                qualifiers.append(QUALIFIERS[Tag(type_.tag)])
            elif type_.tag == Tag.POINTER_TYPE:
                words = " ".join(qualifiers)
                declarator = f"*{words} {declarator}".rstrip() if words else f"*{declarator}"
                qualifiers, pointer = [], True
            elif type_.tag in (Tag.ARRAY_TYPE, Tag.SUBROUTINE_TYPE):
                if pointer:
                    declarator, pointer = f"({declarator})", False
                if type_.tag == Tag.ARRAY_TYPE:
                    declarator += "".join(f"[{count}]" if count else "[]" for count in count_of(type_))
                else:
                    declarator += f"({self._parameters(type_, depth + 1)})"
            else:
                return _join([*qualifiers, _base(type_)], declarator)
            type_ = type_.target(At.TYPE)
        return _join([*qualifiers, "void"], declarator)

    def function(self, function: Entry, name: str) -> str:
        return self.declare(function.target(At.TYPE), f"{name}({self._parameters(function, 1)})")

    def _parameters(self, function: Entry, depth: int) -> str:
        texts = []
        for child in function.below():
            if child.tag == Tag.FORMAL_PARAMETER:
                texts.append(self.declare(child.target(At.TYPE), child.text(At.NAME), depth))
            elif child.tag == Tag.UNSPECIFIED_PARAMETERS:
                texts.append("...")
        return ", ".join(texts) or "void"


def _base(type_: Entry) -> str:
    name = type_.text(At.NAME)
    keyword = _KEYWORDS.get(type_.tag)  # type: ignore[call-overload]  # an int finds its Tag
    if keyword:
        return f"{keyword} {name or '{...}'}"
    if type_.tag == Tag.BASE_TYPE:
        return PLAIN_INTEGERS.get(name, name)
    if type_.tag == Tag.TYPEDEF or name:
        return name
    raise DebugInfoError(f"debug information is damaged: entry {type_.offset:#x} is not the type of a value")


def _join(words: list[str], declarator: str) -> str:
    base = " ".join(words)
    return f"{base} {declarator}" if declarator else base
