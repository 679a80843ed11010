"""The verdict on a function: can it be probed, by which mechanism, and if not, exactly why."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any


class VerdictKind(enum.Enum):
    """One of these per function, computed before anything is armed."""

    PROBEABLE = "probeable"
    DUPLICATE = "duplicate"
    """Probeable, but only by address: several functions share the name."""
    BLACKLISTED = "blacklisted"
    NOTRACE = "notrace"
    DISCARDED_INIT = "discarded init"
    PADDING = "padding"
    COLD_PART = "cold part"
    STUB = "stub"
    NOT_FUNCTION = "not a function"
    INLINED = "inlined only"
    MODULE_NOT_LOADED = "module not loaded"
    KERNEL_CANNOT = "kernel cannot"
    """This kernel takes no probes at all."""
    UNKNOWN = "unknown"
    """The lists that would tell could not be read."""


class Mechanism(enum.Enum):
    """What the kernel will put at the probed instruction."""

    FTRACE = "ftrace"
    JUMP = "jump"
    INT3 = "int3"


class Cost(enum.Enum):
    """What a hit costs the machine, as far as the mechanism alone tells; an order, not a figure."""

    CHEAPEST = "cheapest"
    """A call that the compiler left room for."""
    CHEAP = "cheap"
    """A jump to a copy of the instructions."""
    DEAR = "dear"
    """An exception each time, several times the price of the others."""


_COSTS = {Mechanism.FTRACE: Cost.CHEAPEST, Mechanism.JUMP: Cost.CHEAP, Mechanism.INT3: Cost.DEAR}


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The answer and its reason.

    Attributes:
        kind: The answer.
        mechanism: How it would be armed; None when it would not, or when that cannot be told.
        cause: The reason in words for the user, one line.
    """

    kind: VerdictKind
    mechanism: Mechanism | None
    cause: str

    @property
    def can_arm(self) -> bool:
        """Whether the kernel is expected to accept a probe at the entry (UNKNOWN counts: nobody can say no)."""
        return self.kind in _ARMABLE

    @property
    def cost(self) -> Cost | None:
        """The cost class of a hit; None where the mechanism is not known."""
        return _COSTS[self.mechanism] if self.mechanism else None

    def to_json(self) -> dict[str, Any]:
        """The ``verdict`` member of ``show --json``."""
        return {
            "kind": self.kind.value,
            "mechanism": self.mechanism.value if self.mechanism else None,
            "cost": self.cost.value if self.cost else None,
            "cause": self.cause,
        }


_ARMABLE = frozenset({VerdictKind.PROBEABLE, VerdictKind.DUPLICATE, VerdictKind.UNKNOWN, VerdictKind.COLD_PART})
