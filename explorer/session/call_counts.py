"""Counting calls without events, by ftrace: the engine for knowing how often, of hundreds of functions at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from explorer.agent.protocol import MOST_COUNTED, Message
from explorer.errors import UsageError
from explorer.session.budget import Budget
from symbols.catalog import Catalog
from symbols.symbol import Symbol


@dataclasses.dataclass(frozen=True, slots=True)
class FunctionCalls:
    """How often one function was called.

    Attributes:
        name: ``module:name``, or the plain name in the kernel itself.
        calls: Exact, or a lower bound where calls were lost.
        seconds: For how long it was counted.
        places: How many functions share the name; their calls are added up.
        dropped: Whether it was too hot for the budget, and is counted no more.
    """

    name: str
    calls: int
    seconds: float
    places: int = 1
    dropped: bool = False

    @property
    def rate(self) -> float:
        """Calls per second, over the time that it was counted."""
        return self.calls / self.seconds if self.seconds else 0.0


class CallCounts:
    """What the agent counts of calls; one count at a time.

    Args:
        request: Sends a request to the agent, see ``AgentClient.request``.

    Attributes:
        absent: Functions that ftrace cannot follow, by qualified name.
        places: How many call sites are followed.
        lost: Calls that were overwritten before they could be counted, of all functions together.
        own: The agent's own calls, which are counted nowhere else.
        seconds: For how long has been counted.
    """

    def __init__(self, request: Callable[..., Awaitable[Message]]) -> None:
        self._request = request
        self._begin()

    def _begin(self) -> None:
        self.absent: list[str] = []
        self.places = self.lost = self.own = 0
        self.seconds = 0.0
        self._calls: dict[int, int] = {}
        self._dropped: dict[int, float] = {}

    async def start(self, functions: Sequence[Symbol], budget: Budget) -> None:
        """Begin to count.

        Args:
            functions: What to count.
            budget: What counting may cost; the hottest functions are dropped to keep it.

        Raises:
            UsageError: Too many functions.
            AgentError: They cannot be counted here.
        """
        if len(functions) > MOST_COUNTED:
            raise UsageError(
                f"{len(functions):,} functions are too many to be counted at once",
                f"name fewer: up to {MOST_COUNTED:,}",
            )
        self._begin()
        wanted = [[symbol.name, symbol.module or ""] for symbol in functions]
        answer = await self._request("count", functions=wanted, rate=budget.rate, share=budget.share)
        self.places = int(answer["places"])
        self.absent = [f"{module}:{name}" if module else name for name, module in answer["absent"]]

    async def stop(self) -> None:
        """End the count; the last calls are in it."""
        self.take(await self._request("uncount"))

    def take(self, news: dict[str, Any]) -> None:
        """Take in what the agent tells."""
        self._calls.update({int(address): count for address, count in news["calls"].items()})
        self._dropped = {int(address): seconds for address, seconds in news["dropped"].items()}
        self.lost, self.own, self.seconds = news["lost"], news["own"], news["seconds"]

    def functions(self, catalog: Catalog) -> list[FunctionCalls]:
        """The functions that were called, most called first."""
        found: dict[str, FunctionCalls] = {}
        for address, calls in self._calls.items():
            place = catalog.at(address)
            name = place[0].qualified_name if place else f"{address:#x}"
            dropped = address in self._dropped
            seconds = self._dropped.get(address, self.seconds)
            before = found.get(name)
            if before is not None:
                calls, seconds = calls + before.calls, max(seconds, before.seconds)
                found[name] = FunctionCalls(name, calls, seconds, before.places + 1, dropped or before.dropped)
            else:
                found[name] = FunctionCalls(name, calls, seconds, 1, dropped)
        return sorted(found.values(), key=lambda each: (-each.calls, each.name))
