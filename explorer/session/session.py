"""A session: one kernel being looked at, with its catalog, its probes and its journal.

Nothing here knows of a screen: whoever shows a session subscribes and is told what changed.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

from explorer.agent import hit_cost
from explorer.agent.protocol import Message
from explorer.errors import AgentError
from explorer.session import places, prices
from explorer.session.agent_client import AgentClient, Answered
from explorer.session.aggregates import Wanted
from explorer.session.arming import Arming
from explorer.session.budget import DEFAULT, Budget
from explorer.session.call_counts import CallCounts
from explorer.session.change import Change, Subscriber
from explorer.session.events import Event
from explorer.session.hello import Hello
from explorer.session.kernel_code import KernelCode
from explorer.session.loading import EVERYTHING, Loading, Stage, load
from explorer.session.options import Options
from explorer.session.probe import Counters, Probe, ProbeState
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.tally import Tally
from explorer.session.target import Progress, Target
from explorer.session.time_limit import TimeLimit
from explorer.session.values import FOUR_LEVEL, AddressSpace, Value, address_space, describe
from symbols.catalog import Catalog
from symbols.search import SearchIndex
from symbols.symbol import Symbol

if TYPE_CHECKING:
    from explorer.session.debuginfo import About, Debuginfo

ROWS_OUTSTANDING = 500
"""How many rows the agent may send before the explorer has taken some: what a screen can use of one tick."""

_FAREWELL = 10.0
"""Seconds that the agent gets for its farewell, besides those that disarming takes."""


class Session:
    """One kernel, from its agent's hello to its farewell.

    Args:
        target: The kernel.
        capacity: How many events the journal keeps.
        rows_outstanding: How many rows the agent may be ahead.

    Attributes:
        hello: What the agent said of itself; set by ``open``.
        catalog: All symbols; None until ``Change.CATALOG``.
        search: The index over ``catalog``; None until ``Change.SEARCH``.
        loading: What has been loaded, and what could not be and why.
        probes: All probes armed, being armed, or refused, by spec, oldest first.
        tally: What the probes counted and saw.
        journal: The newest events.
        problems: What went wrong unasked, newest last: (message, hint).
        code: The kernel's code, to be listed.
        calls: What is counted without events.
        budget: What the probes may cost.
        prices: What a hit takes in this kernel, by mechanism; measured by ``kexplore cost``, or a table.
        arming: Arms many at once, and changes filters.
        gone: Why the agent is gone; "" while it is there.
        deleting: After ``close``: how many disabled definitions the agent goes on to delete.
        limit: How long anything may stay armed; None: as long as the session lasts. To be set before ``open``.
    """

    def __init__(self, target: Target, *, capacity: int = 20_000, rows_outstanding: int = ROWS_OUTSTANDING) -> None:
        self.target = target
        self.hello: Hello | None = None
        self.catalog: Catalog | None = None
        self.search: SearchIndex | None = None
        self.loading = Loading()
        self.probes: dict[ProbeSpec, Probe] = {}
        self.tally = Tally(capacity)
        self.journal = self.tally.journal
        self.problems: list[tuple[str, str]] = []
        self.budget = DEFAULT
        self.prices = hit_cost.TABLE
        self.gone = ""
        self.deleting = 0
        self.limit: TimeLimit | None = None
        self.space: AddressSpace = FOUR_LEVEL
        self._rows_outstanding = rows_outstanding
        self._client: AgentClient | None = None
        self._subscribers: list[Subscriber] = []
        self.code = KernelCode(self.fact)
        self.arming = Arming(self)
        self.calls = CallCounts(self.request)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Be told of changes, on the event loop."""
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Be told no more."""
        self._subscribers.remove(subscriber)

    async def open(self, progress: Progress = lambda line: None) -> Hello:
        """Reach the agent.

        Raises:
            KexploreError: It cannot be reached.
        """
        self._client = await self.target.connect(self._heard, progress)
        self.hello = await self._client.hello()
        self.tally.balances.cpus = self.hello.cpus
        await self._client.credit(self._rows_outstanding)
        if self.hello.can_probe and (measured := prices.kept(self.hello)) is not None:
            self.prices = hit_cost.parse(measured)
            await self._client.request("prices", **measured)
        if self.limit is not None and self.hello.can_probe:
            await self._client.request("deadline", seconds=max(0.001, self.limit.left))
        return self.hello

    async def load(self, wanted: frozenset[Stage] = EVERYTHING) -> None:
        """Load names, lists, BTF and the search index, each told to subscribers as it arrives.

        What a kernel does not have or does not show is kept in ``loading.failures``; only the list of names is needed.

        Raises:
            KexploreError: The list of names cannot be had.
        """
        async for stage in load(self._connected(), self.opened(), self.loading, wanted):
            if stage in (Stage.FIRST_NAMES, Stage.NAMES):
                self.catalog = self.loading.catalog
                self.tell(Change.CATALOG)
            elif stage is Stage.SEARCH:
                self.search = self.loading.search
                self.tell(Change.SEARCH)
            elif stage is Stage.TERMS:
                self.tell(Change.TERMS)
            elif stage is Stage.LISTS:
                self.tell(Change.LISTS)
            elif stage is Stage.PROTOTYPES:
                self.space = address_space(self.opened().machine, self.loading.cpu_flags)
                self.tell(Change.PROTOTYPES)

    async def arm(
        self,
        spec: ProbeSpec,
        *,
        registers: bool = True,
        maxactive: int = 0,
        condition: str = "",
        mechanism: str = "auto",
        engine: str | None = None,
        stacks: tuple[str, ...] = (),
        aggregate: Wanted | None = None,
    ) -> Probe:
        """Arm a probe; one that is armed already is returned as it is.

        Args:
            spec: What to probe.
            registers: Whether all registers are recorded with each event, for the inspector.
            maxactive: For a return probe, how many calls may be under way at once; 0 leaves it to the kernel.
            condition: The filter of its hits; "" for none.
            mechanism: "kprobe", "fprobe", or "auto": the agent chooses, and says why.
            engine: "tracefs", "bpf", or "auto" likewise; None for the session's choice.
            stacks: "kernel", "user": the call stacks to record with each event.
            aggregate: What to count in the kernel in place of recording anything; None: hits are recorded.

        Raises:
            FilterError: The condition means nothing at this probe.
            UnknownSymbolError: No symbol has this name.
            KexploreError: It cannot be armed, with the cause and what to do. The probe stays in ``probes`` as FAILED.
        """
        options = Options(registers, maxactive, condition, mechanism, engine=engine, stacks=stacks, aggregate=aggregate)
        return await self.arming.arm(spec, options)

    async def disarm(self, spec: ProbeSpec) -> Probe | None:
        """Disarm a probe and forget it; its events stay in the journal.

        Returns:
            The probe with its final counters; None when it was not armed.

        Raises:
            AgentError: The agent could not disarm it.
        """
        return next(iter(await self.arming.disarm([spec])), None)

    async def toggle(self, spec: ProbeSpec, *, registers: bool = True) -> Probe | None:
        """Arm what is not armed, disarm what is."""
        probe = self.probes.get(spec)
        if probe is not None and probe.state is not ProbeState.FAILED:
            return await self.disarm(spec)
        return await self.arm(spec, registers=registers)

    async def set_budget(self, budget: Budget) -> None:
        """What probes may cost from now on; those that were stopped for the old budget get another chance."""

        def answered(answer: Message) -> None:
            self.budget = budget
            self.tell(Change.PROBES)

        await self.request("budget", answered=answered, rate=budget.rate, share=budget.share)

    async def focus(self, pids: list[int]) -> None:
        """Record only these processes and what descends of them; an empty list: everybody."""
        await self.request("focus", pids=pids)

    async def fact(self, name: str) -> bytes:
        """One of the agent's named facts, whole.

        Raises:
            AgentError: The kernel does not have it or does not show it.
        """
        return await self._connected().fact(name)

    @functools.cached_property
    def debuginfo(self) -> Debuginfo:
        """What debug information adds, looked up when it is asked for."""
        from explorer.session.debuginfo import Debuginfo  # not loaded before the first rows are on the screen

        hello = self.opened()
        return Debuginfo(
            hello.release, hello.machine, self.fact, lambda: self.catalog, self.target.debuginfo,
            changed=lambda: self.tell(Change.DEBUGINFO),
        )  # fmt: skip

    def learn(self, symbol: Symbol) -> About | None:
        """What debug information tells of a symbol; None as long as that is being looked up.

        Subscribers are told ``Change.DEBUGINFO`` when it is known. Waits until everything else has been loaded.
        """
        return self.debuginfo.ask(symbol) if Stage.SEARCH in self.loading.done else None

    async def clean(self) -> Message:
        """Remove what dead sessions left on the target."""
        return await self.request("clean")

    async def close(self) -> list[str]:
        """Disarm everything, say farewell to the agent, release the target.

        Returns:
            What could not be removed; empty when nothing is left behind.
        """
        left: list[str] = []
        if "debuginfo" in self.__dict__:
            await self.debuginfo.close()
        try:
            if self._client is not None:
                armed = sum(probe.number is not None for probe in self.probes.values())
                left = await self._client.close(_FAREWELL + 2 * armed * self.arming.pace.disarming)
                self.deleting = self._client.deleting if self.target.outlives_us else 0
                self._client = None
        finally:
            await self.target.close()
        return left

    def tick(self) -> None:
        """Bring the rates up to date where no batch did; call it about once a second."""
        for change in self.tally.tick():
            self.tell(change)

    def resolve(self, spec: ProbeSpec) -> Symbol | None:
        """The symbol that a spec means; None for an address outside all symbols.

        Raises:
            UnknownSymbolError: No symbol has this name.
            KexploreError: The offset lies past the function's end.
        """
        if self.catalog is None:
            raise AgentError("the list of names has not been loaded yet", "wait a moment")
        return places.symbol_at(self.catalog, spec)

    def describe(self, event: Event) -> list[Value]:
        """The values of an event, ready to be shown."""
        return describe(event, self.space)

    def probe_for(self, symbol: Symbol, kind: ProbeKind = ProbeKind.ENTRY) -> ProbeSpec:
        """The spec of a symbol that was picked from a list."""
        return places.spec_of(self.catalog, symbol, kind)

    def opened(self) -> Hello:
        """What the agent said of itself.

        Raises:
            AgentError: The session is not open.
        """
        if self.hello is None:
            raise AgentError("the session is not open")
        return self.hello

    async def request(self, op: str, *, answered: Answered | None = None, **members: Any) -> Message:
        """Ask the agent; see ``AgentClient.request``."""
        return await self._connected().request(op, answered=answered, **members)

    def _connected(self) -> AgentClient:
        if self._client is None:
            raise AgentError("the session is not open")
        return self._client

    def tell(self, change: Change) -> None:
        """Something changed; on the event loop."""
        for subscriber in list(self._subscribers):
            subscriber(change)

    def _heard(self, message: Message) -> None:
        if message["op"] == "batch":
            for change in self.tally.take(message):
                self.tell(change)
            self._grant(len(message["rows"]))
        elif message["op"] == "cells":
            if self.tally.take_cells(message):
                self.tell(Change.CELLS)
        elif message["op"] == "calls":
            self.calls.take(message)
            self.tell(Change.CALLS)
        elif message["op"] == "problem":
            self.problems.append((message["message"], message["hint"]))
            self.tell(Change.PROBLEM)
        elif message["op"] == "expired":
            self._expired(message["counters"])
        elif message["op"] == "lost":
            self.gone = message["message"]
            self.problems.append((message["message"], ""))
            for probe in self.probes.values():
                probe.state, probe.rate = ProbeState.DISARMED, 0.0
            self.tell(Change.LOST)

    def _expired(self, final: Message) -> None:
        """The agent has disarmed everything, as the time is over; the probes stay to be seen."""
        for probe in self.probes.values():
            counters = final.get(str(probe.number))
            if probe.number is not None and counters is not None:
                probe.counters = Counters(*counters)
                probe.state, probe.rate, probe.number = ProbeState.DISARMED, 0.0, None
        text = self.limit.text if self.limit is not None else "set before"
        self.problems.append((f"the time ({text}) is over: everything is disarmed", "start kexplore anew to go on"))
        self.tell(Change.EXPIRED)

    def _grant(self, rows: int) -> None:
        if rows and self._client is not None:
            task = asyncio.ensure_future(self._client.credit(rows))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
