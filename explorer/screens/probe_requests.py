"""What screens ask of a session's probes: awaited beside the screen, refusals told, what is deadly hot asked about."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import functools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from textual.screen import Screen

from explorer.screens.budget import BudgetScreen
from explorer.screens.confirm import ConfirmScreen
from explorer.screens.filter_editor import FilterScreen
from explorer.session import balance, family, hot_functions
from explorer.session.aggregates import Wanted
from explorer.session.budget import Budget
from explorer.session.options import Options
from explorer.session.probe import Probe, ProbeState
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.session import Session
from explorer.widgets import mechanism_words
from symbols.errors import KexploreError
from symbols.symbol import Symbol

Request = Coroutine[object, object, object]
Choice = TypeVar("Choice")

_SLOW = 1.0
"""Seconds of arming anew after which the user is told why it takes so long."""
_ENGINES = ("auto", "bpf", "tracefs")
_STACKS: tuple[tuple[str, ...], ...] = ((), ("kernel",), ("kernel", "user"))


class ProbeChange(enum.Enum):
    """What can be changed of a probe that is armed; named in bindings."""

    FILTER = "filter"
    FOLLOW_MORE = "follow_more"
    ENGINE = "engine"
    STACKS = "stacks"


class ProbeRequests:
    """The requests of one screen.

    Args:
        screen: Where what was refused is told.

    Attributes:
        screen: The same.
    """

    def __init__(self, screen: Screen[Any]) -> None:
        self.screen = screen

    def make(self, request: Request) -> None:
        """Await a request without holding up the screen; tell why it was refused."""

        async def awaited() -> None:
            try:
                await request
            except KexploreError as error:
                self.refused(error)

        self.screen.run_worker(awaited(), group="probes")

    def arm(self, session: Session, specs: Sequence[ProbeSpec], request: Callable[[], Request]) -> None:
        """Make a request that arms or disarms probes; where one is on a deadly hot function, ask first."""
        try:
            question = hot_functions.question(session, [spec for spec in specs if spec not in session.probes])
        except KexploreError as error:
            self.refused(error)
            return
        if question:
            confirm = ConfirmScreen(question, "arm it")
            self.screen.app.push_screen(confirm, lambda yes: self.make(request()) if yes else None)
        else:
            self.make(request())

    def toggle(self, session: Session, symbol: Symbol, kind: ProbeKind) -> None:
        """Arm or disarm a probe on a function that was picked from a list."""
        if not self.can_probe(session):
            return
        spec = session.probe_for(symbol, kind)
        self.arm(session, [spec], lambda: session.toggle(spec))

    def toggle_variants(self, session: Session, symbol: Symbol) -> None:
        """Arm or disarm a function with all that the compiler made of it."""
        if not self.can_probe(session):
            return
        specs = family.specs(session, symbol, ProbeKind.ENTRY)
        self.arm(session, specs, lambda: family.toggle(session, symbol, ProbeKind.ENTRY))

    def change(self, session: Session, probe: Probe, change: ProbeChange) -> None:
        """Change an armed probe."""
        probe = session.probes.get(probe.spec, probe)  # it may have been armed anew since it was drawn
        if probe.state is not ProbeState.ARMED:
            return
        options = probe.options
        match change:
            case ProbeChange.FILTER:
                self._edit_filter(session, probe)
            case ProbeChange.FOLLOW_MORE if probe.spec.kind is not ProbeKind.ENTRY:
                number = balance.larger(probe.maxactive, session.opened().cpus)
                self.screen.notify(f"{probe.spec} is armed anew for {number} calls under way at once", markup=False)
                self.make(self._rearm(session, probe, dataclasses.replace(options, maxactive=number)))
            case ProbeChange.ENGINE:
                following = _next(_ENGINES, options.engine or "auto")
                self.make(self._rearm(session, probe, dataclasses.replace(options, engine=following)))
            case ProbeChange.STACKS if probe.aggregate is not None:
                self.refused(
                    KexploreError(f"{probe.spec} records no events to have stacks", "h, then r: it does again")
                )
            case ProbeChange.STACKS:
                stacks = _next(_STACKS, options.stacks)
                engine = "auto" if stacks and options.engine == "tracefs" else options.engine  # which has none
                self.make(self._rearm(session, probe, dataclasses.replace(options, stacks=stacks, engine=engine)))

    async def count(self, session: Session, probe: Probe, wanted: Wanted | None) -> None:
        """Have a probe's hits counted in the kernel, or recorded again; where that is refused, it stays as it was."""
        engine = "auto" if probe.options.engine == "tracefs" else probe.options.engine  # which has no maps
        options = dataclasses.replace(
            probe.options, engine=engine, registers=wanted is None, stacks=(), aggregate=wanted
        )
        await self._rearm(session, probe, options, told=wanted is None)

    async def _rearm(self, session: Session, probe: Probe, options: Options, *, told: bool = True) -> None:
        """Arm a probe anew, tell what it has become, or that it stays as it was and why."""
        spec = probe.spec
        words = "compiling the bpf program", f"{spec} stays armed as it is until then"
        slow = asyncio.get_running_loop().call_later(_SLOW, self.tell, *words) if options.needs_bpf else None
        try:
            armed = await session.arming.rearm(spec, options)
        except KexploreError as error:
            now = session.probes.get(spec)
            if now is None or now.state is not ProbeState.ARMED:
                raise
            self.refused(KexploreError(f"{spec} stays as it was: {error.message}", error.hint))
        else:
            if told:
                self.tell(f"{spec} is armed anew", mechanism_words.sentence(armed))
        finally:
            if slow is not None:
                slow.cancel()

    def _edit_filter(self, session: Session, probe: Probe) -> None:
        """Let the user edit the filter of an armed probe, which goes on counting meanwhile."""

        def answered(condition: str | None) -> None:
            if condition is not None:
                self.make(session.arming.set_filter(probe.spec, condition))

        understood = functools.partial(session.arming.understand, probe)
        self.screen.app.push_screen(FilterScreen(probe, session.arming.planning.scope(probe), understood), answered)

    def edit_budget(self, session: Session) -> None:
        """Let the user write what the probes may cost."""

        def answered(budget: Budget | None) -> None:
            if budget is not None:
                self.make(session.set_budget(budget))

        self.screen.app.push_screen(BudgetScreen(session.budget), answered)

    def can_probe(self, session: Session) -> bool:
        """Whether the session's kernel takes probes; why it does not is told."""
        refusal = session.hello.refusal() if session.hello is not None else None
        if refusal is not None:
            self.refused(KexploreError(refusal.message, "t: look at another kernel, the lab's for one"))
        return refusal is None and session.hello is not None

    def tell(self, title: str, words: str) -> None:
        """Tell how something went."""
        self.screen.notify(words or " ", title=title, markup=False, timeout=8)

    def refused(self, error: KexploreError) -> None:
        """Tell why something was not done."""
        self.screen.notify(error.hint or " ", title=error.message, severity="error", markup=False, timeout=8)


def _next(choices: Sequence[Choice], chosen: Choice) -> Choice:
    """The one behind, in a circle; the first where the chosen one is none of them."""
    return choices[(choices.index(chosen) + 1) % len(choices)] if chosen in choices else choices[0]
