"""How long arming and disarming a probe takes on this kernel: measured while it is done, a guess before."""

from __future__ import annotations

_GUESS = 0.002
"""Seconds a probe, of a machine of today: mostly the kernel's patching of its own code."""


class Pace:
    """What was measured in a session.

    Attributes:
        probes: How many probes have been armed by now.
    """

    def __init__(self) -> None:
        self.probes = 0
        self._arming = 0.0
        self._disarmed = 0
        self._disarming = 0.0

    def armed(self, probes: int, seconds: float) -> None:
        """So many were armed in so long, the way of the request included."""
        self.probes += probes
        self._arming += seconds

    def disarmed(self, probes: int, seconds: float) -> None:
        """So many were disarmed in so long."""
        self._disarmed += probes
        self._disarming += seconds

    @property
    def arming(self) -> float:
        """Seconds that arming a probe takes."""
        return self._arming / self.probes if self.probes else _GUESS

    @property
    def disarming(self) -> float:
        """Seconds that disarming a probe takes; where none has been disarmed yet, as long as arming."""
        return self._disarming / self._disarmed if self._disarmed else self.arming

    def sentence(self, probes: int) -> str:
        """How long so many would take."""
        source = (
            f"as measured with {self.probes:,} so far" if self.probes
            else "a guess: none has been armed here yet"
        )  # fmt: skip
        return (
            f"arming takes {_seconds(probes * self.arming)}, disarming {_seconds(probes * self.disarming)} "
            f"({source}); definitions are deleted afterwards, in the background"
        )


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return "under 1 s"
    return f"about {seconds:.0f} s" if seconds < 100 else f"about {seconds / 60:.0f} min"
