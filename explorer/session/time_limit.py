"""``--for``: how long anything may stay armed. The agent keeps the time; here it is read, handed over and shown."""

from __future__ import annotations

import dataclasses
import re
import time

_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|[smh])")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_MOST = 30 * 24 * 3600
"""Seconds; more than the agent takes would be a mistake in any case."""


@dataclasses.dataclass(frozen=True, slots=True)
class TimeLimit:
    """A moment after which nothing is armed.

    Attributes:
        at: In seconds of the monotonic clock.
        text: How long it was, as the user wrote it.
    """

    at: float
    text: str

    @classmethod
    def parse(cls, text: str) -> TimeLimit:
        """A time from now: ``30s``, ``10m``, ``1.5h``.

        Raises:
            ValueError: It is none, with what to write instead.
        """
        return cls(time.monotonic() + seconds_of(text), text)

    @property
    def left(self) -> float:
        """Seconds until then; 0 from then on."""
        return max(0.0, self.at - time.monotonic())

    @property
    def words(self) -> str:
        """What is left of it, for a status line."""
        left = round(self.left)
        if not left:
            return f"time is over ({self.text})"
        minutes, seconds = divmod(left, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"


def seconds_of(text: str) -> float:
    """A time as it is written, in seconds.

    Raises:
        ValueError: It is none, with what to write instead.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time; write a number with its unit: 30s, 10m, 2h")
    seconds = float(match.group(1)) * _UNITS[match.group(2)]
    if not 0 < seconds <= _MOST:
        raise ValueError(f"{text!r} is not above 0 and up to 720h")
    return seconds
