"""One line of ``kexplore doctor``."""

from __future__ import annotations

import dataclasses
import enum


class Standing(enum.Enum):
    """How a thing stands."""

    GOOD = "ok"
    LESS = "less"
    """It works, with something missing that has a use."""
    BAD = "no"


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One line: a thing, how it stands, and what to do about it ("" when nothing)."""

    topic: str
    standing: Standing
    text: str
    fix: str = ""
