"""What probes may cost: the budget of a session, and how a request states it."""

from __future__ import annotations

from typing import NamedTuple, Optional

from explorer.agent.failure import RequestError
from explorer.agent.protocol import Code, Message

_MOST_RATE = 1_000_000_000


class Budget(NamedTuple):
    """What probes may do.

    Attributes:
        rate: Hits a second for each; None for any number.
        share: Of one processor's time for all together, 0.02 being 2%; None for all of it and more.
    """

    rate: Optional[float]
    share: Optional[float]

    def exceeded_by(self, rate: float, share: float) -> bool:
        """Whether one probe's rate is too high, or what all of them take of a processor."""
        return (self.rate is not None and rate > self.rate) or (self.share is not None and share > self.share)


DEFAULT = Budget(None, 0.02)


def parse(message: Message) -> Budget:
    """Check a ``budget`` request.

    Raises:
        RequestError: Its numbers are none.
    """
    return Budget(_limit(message.get("rate"), "rate", _MOST_RATE), _limit(message.get("share"), "share", 1))


def _limit(value: object, name: str, most: float) -> Optional[float]:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= most:
        raise RequestError(Code.BAD_REQUEST, f"a budget's {name} is null or a number above 0 up to {most:,}")
    return float(value)
