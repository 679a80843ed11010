"""The hits of an event that the kernel itself does not count, as it does for kprobes: by a histogram trigger.

It counts before the event's filter, as ``kprobe_profile`` does, but behind the focus: what others do is not in it. It
also keeps the event firing while it is switched off, so it is taken away then, and its count kept.
"""

from __future__ import annotations

import re

from explorer.agent.tracefs import Instance, Reread

_TRIGGER = "hist:keys=common_cpu:size=128"
"""Few keys: only the totals are read. What finds no room in the table is counted as dropped."""
_TOTALS = re.compile(r"^\s+(?:Hits|Dropped): (\d+)$", re.MULTILINE)


class EventCount:
    """Counts one event of an instance; not yet.

    Args:
        instance: Of the event.
        event: ``GROUP/EVENT``.
    """

    def __init__(self, instance: Instance, event: str) -> None:
        self._instance = instance
        self._path = f"events/{event}"
        self._before = 0
        self._running = False

    def hits(self) -> int:
        """How many so far."""
        if not self._running:
            return self._before
        table = Reread(f"{self._instance.path}/{self._path}/hist")
        try:
            return self._before + sum(map(int, _TOTALS.findall(table.text())))
        finally:
            table.close()

    def turn(self, on: bool) -> None:
        """Count, or no longer.

        Raises:
            OSError: The kernel refused.
        """
        if on is self._running:
            return
        self._before = self.hits()
        self._instance.write(f"{self._path}/trigger", _TRIGGER if on else f"!{_TRIGGER}")
        self._running = on
