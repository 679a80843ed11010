"""A function's prototype joined with where each value lives."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

from symbols.c_types import CType
from symbols.location import Location, Unknown


class Trust(enum.Enum):
    """How far a prototype can be believed."""

    EXACT = "exact"
    """From BTF or DWARF of this very function."""
    VARIANT = "variant"
    """Probably so, the cause says why not surely: taken from the base name of a ``.isra`` / ``.constprop`` / ``.part``
    clone, whose arguments may have moved; one of several functions of the name; a place that the types leave open.
    """
    WRAPPER = "wrapper"
    """A system call wrapper: the one real argument is a ``struct pt_regs *``."""
    NONE = "none"
    """Nothing is known: raw registers only."""

    @property
    def is_certain(self) -> bool:
        """Whether what it is said of can be relied on."""
        return self in (Trust.EXACT, Trust.WRAPPER)


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

    def trust_in(self, location: Location) -> tuple[Trust, str]:
        """How far one of its locations can be believed, and why not wholly ("" when exact).

        No location is trusted more than the prototype, some less: what a convention leaves open may be a likely place
        (variant) or none at all.
        """
        if isinstance(location, Unknown):
            return Trust.NONE, location.cause
        if self.trust is Trust.EXACT and location.doubt:
            return Trust.VARIANT, location.doubt
        return self.trust, self.cause

    def to_json(self) -> dict[str, Any]:
        """The ``prototype`` member of ``show --json``."""
        return {
            "text": self.text,
            "source": self.source.value,
            "trust": self.trust.value,
            "cause": self.cause or None,
            "return": {"type": self.return_type.text, **self._location_json(self.return_location)},
            "parameters": [
                {"name": p.name, "type": p.type.text, **self._location_json(p.location)} for p in self.parameters
            ],
            "varargs": self.varargs,
        }

    def _location_json(self, location: Location | None) -> dict[str, Any]:
        if location is None:
            return {"location": None, "trust": self.trust.value, "cause": self.cause or None}
        trust, cause = self.trust_in(location)
        return {"location": location.to_json(), "trust": trust.value, "cause": cause or None}
