"""What the guard decides, done: probes switched off, on again, or on for a slice, with their counts kept exact."""

from __future__ import annotations

import time
from typing import Dict, Protocol, Tuple

from explorer.agent.guard import PERIOD, SLICE, Guard, State

LOOK = 0.1
"""Seconds between two looks at the counts while a probe is new; afterwards ``PERIOD``."""


class Probes(Protocol):
    """The probes of an engine."""

    def counts(self) -> Dict[int, Tuple[int, int]]:
        """Hits that the kernel counted, and events decoded, of every probe since it was armed."""

    def suspend(self, probe: int) -> None:
        """Disable it and settle its counts."""

    def resume(self, probe: int) -> None:
        """Enable it.

        Raises:
            OSError: The kernel refuses it by now.
        """


class Throttle:
    """Acts for a guard.

    Args:
        guard: It decides.
        probes: It acts on these.
    """

    def __init__(self, guard: Guard, probes: Probes) -> None:
        self._guard = guard
        self._probes = probes
        self._look_after = 0.0

    def hurry(self, seconds: float = LOOK) -> None:
        """Look within so long: a probe is new, or events come in masses."""
        self._look_after = min(self._look_after, time.monotonic() + seconds)

    def due(self) -> float:
        """When ``turn`` has something to do, in seconds of the monotonic clock."""
        return min(self._look_after, self._guard.next_slice())

    def turn(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        sampled = self._guard.due(now)
        if sampled is not None:
            self._slice(sampled)
        if now >= self._look_after or sampled is not None:
            self._look()
            now = time.monotonic()
            self._look_after = now + (LOOK if self._guard.is_young(now) else PERIOD)

    def _look(self) -> None:
        changes = self._guard.look(time.monotonic(), self._probes.counts())
        for probe, state in changes.items():
            cause = ""
            if state is State.RUNNING:
                cause = self._resume(probe)
                state = State.STOPPED if cause else state
            else:
                self._probes.suspend(probe)
            self._guard.changed(probe, state, time.monotonic(), self._probes.counts()[probe], cause)

    def _slice(self, probe: int) -> None:
        """Let a sampled probe, and its partner, count for a moment; nothing else of the agent's can lengthen it."""
        switched_on = time.monotonic()
        enabled = []
        for each in self._guard.together(probe):
            cause = self._resume(each)
            if cause:
                self._guard.changed(each, State.STOPPED, switched_on, (0, 0), cause)
            else:
                enabled.append(each)
        if not enabled:
            return
        before = self._probes.counts()
        begin = time.monotonic()
        time.sleep(SLICE)
        after, end = self._probes.counts(), time.monotonic()
        for each in reversed(enabled):
            self._probes.suspend(each)
        now = time.monotonic()
        counts = self._probes.counts()
        for each in enabled:
            hits, decoded = after[each][0] - before[each][0], counts[each][1] - before[each][1]
            self._guard.sliced(each, now, hits, decoded, end - begin, end - switched_on)

    def _resume(self, probe: int) -> str:
        """Why it cannot be; "" when it has been."""
        try:
            self._probes.resume(probe)
        except OSError as error:
            return error.strerror or "the kernel refused it"
        return ""
