"""The engines with a guard: every probe is priced, counted and held to a budget."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional, Sequence, Set

from explorer.agent import hit_cost
from explorer.agent.armed import Armed
from explorer.agent.budget import Budget
from explorer.agent.completeness import Completeness
from explorer.agent.engines import Engines
from explorer.agent.facts import Facts
from explorer.agent.failure import RequestError
from explorer.agent.guard import Guard
from explorer.agent.protocol import Message
from explorer.agent.row_code import Row
from explorer.agent.throttle import Throttle


class GuardedEngine(Engines):
    """Engines whose probes cost no more than they may.

    Args:
        root: The directory that the machine's file tree begins at.
        machine: The architecture as ``uname -m`` prints it.
    """

    def __init__(self, root: str, machine: str) -> None:
        super().__init__(root, machine)
        self._guard = Guard()
        self._throttle = Throttle(self._guard, self)
        self._completeness = Completeness()
        self._unpriced: Set[int] = set()
        self._prices = hit_cost.TABLE
        self._keep = 0

    def arm(self, probe: object, wanted: object = None, entry: Optional[int] = None) -> Armed:
        """As ``Engines.arm``; from now on the probe is watched."""
        armed = super().arm(probe, wanted, entry)
        dearest = hit_cost.dearest_ns(self.request_of(armed.probe), self._prices)
        self._guard.open(armed.probe, time.monotonic(), dearest)
        self._unpriced.add(armed.probe)
        self._throttle.hurry()
        return armed

    def pair(self, entry: int, returns: int) -> None:
        """These two armed probes make calls."""
        self._guard.pair(entry, returns)
        for probe in (entry, returns):
            self._completeness.begin(probe, time.monotonic_ns())

    def filter(self, number: object, wanted: object, keep: int) -> None:
        """As ``Engines.filter``; calls do not reach from one filter to the next."""
        super().filter(number, wanted, keep)
        self._begin_anew([number])

    def focus(self, pids: Sequence[int]) -> None:
        """As ``Engines.focus``; calls do not reach from one focus to the next."""
        super().focus(pids)
        self._begin_anew(list(self._by_probe))

    def _begin_anew(self, probes: Sequence[object]) -> None:
        for probe in probes:
            if isinstance(probe, int) and self._completeness.watches(probe):
                self._completeness.begin(probe, time.monotonic_ns())

    def finish(self, number: int) -> List[int]:
        """As ``Engines.finish``."""
        self._guard.close(number)
        self._unpriced.discard(number)
        self._completeness.end(number)
        return super().finish(number)

    def drain(self, keep: int, seconds: float = 0.1) -> bool:
        """As ``Engines.drain``; what it costs is measured."""
        before, begin = self.events, time.thread_time()
        emptied = super().drain(keep, seconds)
        self._guard.decoded(self.events - before, time.thread_time() - begin)
        if self._guard.may_be_overspent():
            self._throttle.hurry(0)
        return emptied

    def set_budget(self, budget: Budget) -> None:
        """What the probes may cost from now on; one that was stopped gets another chance."""
        self._guard.reconsider(budget)
        self._throttle.hurry()

    def set_prices(self, prices: hit_cost.Prices) -> None:
        """What hits take on this machine, as it was measured."""
        self._prices = prices
        self._unpriced.update(self._by_probe)

    def guard_due(self) -> float:
        """When ``guard`` has something to do, in seconds of the monotonic clock."""
        return self._throttle.due()

    def guard(self, keep: int) -> None:
        """Hold the probes to their budget.

        Args:
            keep: As for ``drain``.
        """
        self._keep = keep
        if self._unpriced:
            self._price()
        self._throttle.turn()

    @property
    def owes_word(self) -> bool:
        """Whether rows of calls are out that another round through the buffers would tell to be complete."""
        return self._completeness.pending

    def complete(self, rows: List[Row]) -> Dict[str, Any]:
        """What a batch with these rows has to say of calls."""
        return self._completeness.report(rows, *self.complete_between)

    def guard_news(self) -> Dict[int, Message]:
        """What the guard has to tell of probes since it was asked last."""
        return self._guard.news(time.monotonic())

    def suspend(self, probe: int) -> None:
        """Disable a probe, which stays armed as far as anybody else is concerned."""
        self._by_probe[probe].suspend(probe, self._keep)

    def resume(self, probe: int) -> None:
        """Enable a suspended probe.

        Raises:
            OSError: The kernel refuses it by now.
        """
        self._by_probe[probe].resume(probe)
        self._begin_anew([probe])

    def _price(self) -> None:
        """Look how the kernel did what is new; where it does not say, the dearest way is assumed."""
        try:
            kprobes = Facts(self._root).text("kprobes")
        except RequestError:
            kprobes = ""
        for number in self._unpriced:
            self._guard.price(number, hit_cost.kernel_ns(self.request_of(number), kprobes, self._prices))
        self._unpriced.clear()
