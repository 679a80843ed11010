"""What is being done to a group at the moment: how far it is, and whether somebody wants it to stop."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far it is.

    Attributes:
        doing: ``arming`` or ``disarming``.
        done: Probes that are done.
        total: Of so many.
        left: Seconds that the rest will take, by what was measured.
    """

    doing: str
    done: int
    total: int
    left: float

    @property
    def sentence(self) -> str:
        """In words."""
        return f"{self.doing} {self.done:,} of {self.total:,}, {self.left:.0f} s left"


@dataclasses.dataclass(slots=True)
class GroupWork:
    """A group that is being armed or disarmed.

    Attributes:
        progress: How far it is; None before the beginning.
        given_up: Set by whoever wants the arming to stop: what has been armed is then disarmed again.
    """

    progress: Progress | None = None
    given_up: bool = False
