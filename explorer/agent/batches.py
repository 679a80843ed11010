"""What the explorer is sent unasked: counters that changed, and as many of the newest rows as it gave credit for."""

from __future__ import annotations

import time
from typing import Collection, Dict, List

from explorer.agent.connection import Connection
from explorer.agent.guarded_engine import GuardedEngine
from explorer.agent.protocol import Message

TICK = 0.05
"""Seconds between two batches, at least."""
_MOST_ROWS = 5000
"""Rows to keep for one batch, however much credit there is."""


class Batches:
    """The batches of one session.

    Attributes:
        news: Whether there may be something to tell.
        due: When the next batch may be sent, in seconds of the monotonic clock.
    """

    def __init__(self, engine: GuardedEngine, connection: Connection) -> None:
        self._engine = engine
        self._connection = connection
        self._credit = 0
        self._sent: Dict[int, List[int]] = {}
        self._sent_lost = 0
        self.news = False
        self.due = 0.0

    def grant(self, rows: int) -> None:
        """The explorer takes so many more rows."""
        self._credit += rows

    @property
    def keep(self) -> int:
        """How many rows are worth keeping for the next batch."""
        return min(self._credit, _MOST_ROWS)

    def flush(self, without: Collection[int] = ()) -> None:
        """Send a batch if there is news. What a peer that does not read could not get in time is ``not_shown``.

        Args:
            without: Probes whose counters follow in another message.
        """
        self.news = False
        rows = self._engine.collect(self.keep)
        self._credit -= len(rows)
        news = {
            probe: counts
            for probe, counts in self._engine.counters().items()
            if counts != self._sent.get(probe) and probe not in without
        }
        lost, guard = self._engine.lost, self._engine.guard_news()
        if not (rows or news or guard or lost != self._sent_lost or self._engine.owes_word):
            return
        self._sent.update(news)
        self._sent_lost = lost
        self.due = time.monotonic() + TICK
        batch: Message = {"op": "batch", "counters": news, "lost": lost, "rows": rows, **self._engine.complete(rows)}
        self._connection.send({**batch, "guard": guard} if guard else batch)

    def forget(self, probe: int) -> None:
        """A probe is gone."""
        self._sent.pop(probe, None)
