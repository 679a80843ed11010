"""For calls, whose two probes are looked at together: the stretch of time of which no event is missing.

An entry and a return may only be taken for one call where nothing can have happened between them that was not seen.
What can be missing are events overwritten in the buffers, those that were not sent, and all of a probe's while the
guard had it switched off. And a thread that moved to another processor may have left its last events in a buffer that
was emptied before the other one was: what is newer than the beginning of a round is not complete before the next.
"""

from __future__ import annotations

from typing import Any, Dict, List

CLOCK_SLACK = 10_000
"""Nanoseconds: what time stamps of different processors can be apart (ktime_get_mono_fast_ns, kernel/time)."""


class Completeness:
    """Of the probes that make calls."""

    def __init__(self) -> None:
        self._since: Dict[int, int] = {}
        self._told: Dict[int, int] = {}
        self._told_until = 0
        self._newest = 0

    @property
    def watching(self) -> bool:
        """Whether there are such probes."""
        return bool(self._since)

    def begin(self, probe: int, time: int) -> None:
        """A probe has been enabled, at this time or before."""
        self._since[probe] = time

    def watches(self, probe: int) -> bool:
        """Whether a probe makes calls."""
        return probe in self._since

    def end(self, probe: int) -> None:
        """It has been disarmed."""
        self._since.pop(probe, None)
        self._told.pop(probe, None)

    @property
    def pending(self) -> bool:
        """Whether rows have been sent that were newer than what was complete by then: another round tells."""
        return self.watching and self._newest > self._told_until

    def report(self, rows: List[List[Any]], gap: int, until: int) -> Dict[str, Any]:
        """The members of a batch that tell it.

        Args:
            rows: The batch's.
            gap: Up to this time, something may be missing of all of them.
            until: The beginning of the last round through all buffers.
        """
        if not self.watching:
            return {}
        for probe, since in self._since.items():
            self._since[probe] = max(since, gap)
        news = {probe: since for probe, since in self._since.items() if self._told.get(probe) != since}
        self._told.update(news)
        self._told_until = until - CLOCK_SLACK
        self._newest = max(self._newest, rows[-1][1] if rows else 0)
        return {"until": self._told_until, **({"since": news} if news else {})}
