"""The dead-man switch: until when anything may be armed, whatever becomes of the explorer.

The time is kept here and not by the explorer, which may be stopped, swapped out or at the far end of a dead line.
"""

from __future__ import annotations

import time
from typing import Optional

from explorer.agent.failure import RequestError
from explorer.agent.protocol import Code, Message

_MOST_SECONDS = 30 * 24 * 3600


class Deadline:
    """None at first; once it has passed nothing can be armed until another one is set."""

    def __init__(self) -> None:
        self._at: Optional[float] = None
        self._passed = False

    @property
    def due(self) -> float:
        """When it passes, in seconds of the monotonic clock; infinity where there is none to wait for."""
        return float("inf") if self._at is None else self._at

    def set(self, message: Message) -> None:
        """Take a ``deadline`` request.

        Raises:
            RequestError: Its seconds are none.
        """
        seconds = message.get("seconds")
        if seconds is None:
            self._at, self._passed = None, False
            return
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= _MOST_SECONDS:
            raise RequestError(Code.BAD_REQUEST, "a deadline's seconds are null or above 0, up to 30 days")
        self._at, self._passed = time.monotonic() + seconds, False

    def passes(self, now: float) -> bool:
        """Whether it passes at this moment; said once."""
        if now < self.due:
            return False
        self._at, self._passed = None, True
        return True

    def require(self) -> None:
        """Refuse to arm when it has passed.

        Raises:
            RequestError: It has.
        """
        if self._passed:
            raise RequestError(Code.EXPIRED, "the time for probes is over", "start again, with a longer --for")
