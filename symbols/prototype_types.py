"""The structs, unions and enums that a prototype speaks of, looked up by the names in its types."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from symbols.c_types import CType
from symbols.prototype import Prototype
from symbols.type_index import NamedType, TypeIndex

_QUALIFIER = re.compile(r"\b(const|volatile|restrict|__user|__rcu|__percpu)\b")


@dataclasses.dataclass(frozen=True, slots=True)
class Mentioned:
    """A type that a parameter or the result comes down to.

    Attributes:
        called: The parameter's name, or ``return``; with ``[0]`` for each pointer but the last.
        joint: What C writes between that and a member: ``->`` or ``.``.
        named: The type.
    """

    called: str
    joint: str
    named: NamedType


def types_of(prototype: Prototype, index: TypeIndex, module: str | None) -> list[Mentioned]:
    """The types of a prototype's parameters, then of its result.

    Args:
        prototype: From whatever source: types are looked up by their names.
        index: All types.
        module: Of the function; where the name stands for several types, its own go before the kernel's, and those of
            other modules are left out.
    """
    values = [(p.name or f"arg{position}", p.type) for position, p in enumerate(prototype.parameters, start=1)]
    return [
        found for name, of in [*values, ("return", prototype.return_type)] for found in _find(name, of, index, module)
    ]


def _find(name: str, of: CType, index: TypeIndex, module: str | None) -> Iterator[Mentioned]:
    if "(" in of.text or "{" in of.text:  # functions, and what has no name
        return
    text = _QUALIFIER.sub("", of.text)
    pointers = text.count("*")
    named = index.find(" ".join(text.replace("*", " ").split()))
    own = [entry for entry in named if module is not None and entry.module == module]
    for entry in own or [entry for entry in named if entry.module is None]:
        yield Mentioned(name + "[0]" * (pointers - 1), "->" if pointers else ".", entry)
