"""What lies behind a member, and how C writes the way there: ``.``, ``->``, ``[0]``."""

from __future__ import annotations

import dataclasses
import enum
import re

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import BtfType
from symbols.c_declaration import declaration
from symbols.errors import BtfError

_QUALIFIER = re.compile(r"\b(const|volatile|restrict|__user|__rcu|__percpu)\b")
_MAXIMUM_STEPS = 16
"""Pointers to pointers to arrays of pointers ..."""


class Way(enum.Enum):
    """How one gets from a member to the type behind it."""

    INSIDE = "inside"
    """It lies in the member itself."""
    POINTED = "pointed to"
    """It lies where a pointer points to."""


@dataclasses.dataclass(frozen=True, slots=True)
class Behind:
    """The struct, union or enum (or declaration of one) that a type comes down to.

    Attributes:
        record: Its BTF record; a FWD where it is only declared.
        way: How to get there.
        notation: What C writes between the member's name and a member of the record: ``.``, ``->``, ``[0].``.
        elements: How many of them lie inside, for arrays; else 1.
    """

    record: BtfType
    way: Way
    notation: str
    elements: int = 1


def behind(btf: Btf, type_id: int) -> Behind | None:
    """What lies behind a member of this type; None for numbers, functions, ``void``.

    Raises:
        BtfError: The type is damaged.
    """
    steps, elements = "", 1
    pointed = False
    for _ in range(_MAXIMUM_STEPS):
        record = btf.resolve(type_id)
        if record is None:
            return None
        if record.kind is Kind.ARRAY:
            type_id, count = btf.array(record)
            elements *= count
            steps += "[0]"
        elif record.kind is Kind.PTR:
            type_id = record.target
            pointed = True
            steps += "*"
        elif record.kind in _SHOWN:
            way = Way.POINTED if pointed else Way.INSIDE
            return Behind(record, way, _notation(steps), 1 if pointed else elements)
        else:
            return None
    return None


_SHOWN = frozenset({Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FWD})


def _notation(steps: str) -> str:
    """In C ``p[0].x`` is ``p->x``, so that only the last pointer needs its arrow."""
    if steps.endswith("*"):
        return steps[:-1].replace("*", "[0]") + "->"
    return steps.replace("*", "[0]") + "."


def spelled(btf: Btf, type_id: int, name: str = "") -> str:
    """The declaration of ``name``, or the type alone; where the type is damaged, a question mark for it."""
    try:
        return declaration(btf, type_id, name)
    except BtfError:
        return f"? {name}".rstrip()


def meaning(btf: Btf, type_id: int) -> str:
    """What a type, or what a pointer points to, is beneath typedefs, as C text; "" where that says nothing new."""
    try:
        record = btf.resolve(type_id)
        if record is not None and record.kind is Kind.PTR:
            pointee = btf.resolve(record.target)
            if pointee is None:
                return ""
            text = declaration(btf, pointee.id, "(*)" if pointee.kind is Kind.FUNC_PROTO else "*")
        else:
            text = declaration(btf, record.id) if record is not None else "void"
        written = declaration(btf, type_id)
    except BtfError:
        return ""
    return "" if text == " ".join(_QUALIFIER.sub("", written).split()) else text
