"""What the probes of a session may cost, as people write it: ``2%``, ``1500/s``, both, or ``none``."""

from __future__ import annotations

import dataclasses
import re

from explorer.agent import budget as agent_budget
from explorer.errors import UsageError

HINT = "2% of a core for all together, 1500/s for each, both of these, or none"

_SHARE = re.compile(r"(\d+(?:\.\d+)?)%")
_RATE = re.compile(r"(\d+)/s")
_MOST_RATE = 1_000_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Budget:
    """What probes may cost before the guard holds them back.

    Attributes:
        rate: Hits a second for each; None for any number.
        share: Of one processor's time for all together, 0.02 being 2%; None for all of it and more.
    """

    rate: int | None = None
    share: float | None = agent_budget.DEFAULT.share

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read what a person wrote.

        Raises:
            UsageError: It is no budget.
        """
        words = text.split()
        if words == ["none"]:
            return cls(None, None)
        rate: int | None = None
        share: float | None = None
        for word in words:
            if (matched := _SHARE.fullmatch(word)) and share is None and 0 < float(matched[1]) <= 100:
                share = float(matched[1]) / 100
            elif (matched := _RATE.fullmatch(word)) and rate is None and 0 < int(matched[1]) <= _MOST_RATE:
                rate = int(matched[1])
            else:
                raise UsageError(f"{word!r} is no part of a budget", HINT)
        if not words:
            raise UsageError("a budget is missing", HINT)
        return cls(rate, share)

    def __str__(self) -> str:
        """As ``parse`` reads it."""
        share = f"{self.share * 100:g}%" if self.share is not None else ""
        rate = f"{self.rate}/s" if self.rate is not None else ""
        return " ".join(filter(None, (share, rate))) or "none"

    @property
    def text(self) -> str:
        """In words, for a title: ``2% of a core for all``."""
        share = f"{self.share * 100:g}% of a core for all" if self.share is not None else ""
        rate = f"{self.rate:,} hits/s for each" if self.rate is not None else ""
        return " and ".join(filter(None, (share, rate))) or "no limit"


DEFAULT = Budget()
