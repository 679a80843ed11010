"""What the guard says of probes, as short as a row, a pane's title or the status line needs it."""

from __future__ import annotations

from collections.abc import Iterable

from explorer.session.budget import Budget
from explorer.session.guard import State, core_share
from explorer.session.probe import Probe, ProbeState
from explorer.session.values import printable
from explorer.widgets.cells import short_count


def rate(probe: Probe) -> str:
    """Hits per second; an estimate is marked ``~``."""
    guard = probe.guard
    if guard is None or guard.state is State.RUNNING:
        return short_count(probe.rate)
    return f"~{short_count(guard.rate)}" if guard.state is State.SAMPLED else "stop"


def remark(probe: Probe) -> str:
    """What stands behind a probe's name in the list while it does not see all that happens; "" while it does."""
    guard = probe.guard
    if guard is None or not guard.holds_back:
        return ""
    return " was sampled" if guard.state is State.RUNNING else f" {guard.state.value}"


def sentence(probe: Probe | None) -> str:
    """Why a probe does not see all, whole; "" where it does."""
    return printable(probe.guard.text) if probe is not None and probe.guard is not None else ""


def cost(probes: Iterable[Probe], budget: Budget) -> str:
    """The predicted cost of all probes as they are now: ``about 0.31% of a core, budget 2%``; "" before it is known."""
    guards = [probe.guard for probe in probes if probe.state is ProbeState.ARMED and probe.guard is not None]
    if not guards:
        return ""
    return f"about {core_share(sum(guard.cost * guard.enabled for guard in guards))}, budget {budget}"


def held_back(probes: Iterable[Probe]) -> str:
    """How many probes do not see all: ``1 sampled, 2 stopped by the guard``; "" when all do."""
    states = [probe.guard.state for probe in probes if probe.state is ProbeState.ARMED and probe.guard is not None]
    parts = [f"{states.count(state)} {state.value}" for state in (State.SAMPLED, State.STOPPED) if state in states]
    return f"{', '.join(parts)} by the guard" if parts else ""
