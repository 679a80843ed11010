"""A function's prototype joined with where each value lives."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

from symbols.c_types import CType
from symbols.location import Location


class Trust(enum.Enum):
    """How far a prototype can be believed."""

    EXACT = "exact"
    """From BTF or DWARF of this very function."""
    VARIANT = "variant"
    """Taken from the base name of a ``.isra`` / ``.constprop`` / ``.part`` clone: arguments may have moved."""
    WRAPPER = "wrapper"
    """A system call wrapper: the one real argument is a ``struct pt_regs *``."""
    NONE = "none"
    """Nothing is known: raw registers only."""


class Source(enum.Enum):
    """Where a prototype was read."""

    BTF = "btf"
    DWARF = "dwarf"
    TRACEPOINT = "tracepoint"
    """The format of the tracepoint at a system call's entry."""
    NONE = "none"


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. ``name`` is "" when the source gives none."""

    name: str
    type: CType
    location: Location


@dataclasses.dataclass(frozen=True, slots=True)
class Prototype:
    """A prototype and its locations.

    Attributes:
        name: The symbol it was asked for.
        text: One line of C, without the semicolon: ``long do_sys_openat2(int dfd, const char *filename, ...)``.
        source: Where it was read.
        trust: How far it can be believed.
        cause: Why the trust is less than exact, or why nothing is known; "" when exact.
        return_type: May be ``void``.
        return_location: Where the return value lives when the function returns; None for ``void``.
        parameters: In order. Where nothing is known: empty.
        varargs: Whether it ends in ``...``.
    """

    name: str
    text: str
    source: Source
    trust: Trust
    cause: str
    return_type: CType
    return_location: Location | None
    parameters: tuple[Parameter, ...]
    varargs: bool = False

    def to_json(self) -> dict[str, Any]:
        """The ``prototype`` member of ``show --json``."""
        location = self.return_location
        return {
            "text": self.text,
            "source": self.source.value,
            "trust": self.trust.value,
            "cause": self.cause or None,
            "return": {"type": self.return_type.text, "location": location.to_json() if location else None},
            "parameters": [
                {"name": p.name, "type": p.type.text, "location": p.location.to_json()} for p in self.parameters
            ],
            "varargs": self.varargs,
        }
