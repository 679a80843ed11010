"""Patterns and queries as PROBE of ``kexplore trace``: told what they mean, asked about, armed with progress."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence

from explorer.commands.connection import narrate
from explorer.errors import UsageError
from explorer.session import group_plan, groups, selection
from explorer.session.filters.several import apportion
from explorer.session.group_plan import GroupPlan
from explorer.session.group_work import Progress
from explorer.session.groups import Listener
from explorer.session.options import Options
from explorer.session.probe import Counters, Probe
from explorer.session.selection import Selection
from explorer.session.session import Session

_ASKS_ABOVE = 16
"""Probes that are armed without a question: a screenful of names that can be read at a glance."""


class GivenUpError(Exception):
    """The user does not want the groups."""


async def plan(session: Session, selections: Sequence[Selection], *, force: bool, yes: bool) -> list[GroupPlan]:
    """Tell what the selections mean, and ask where they mean much.

    Args:
        session: Nothing of them is armed yet.
        selections: They may overlap.
        force: Whether deadly hot functions are wanted as well.
        yes: Whether the answer is known already.

    Raises:
        UsageError: There is nobody to ask.
        GivenUpError: The answer was no.
        KexploreError: One of them cannot be armed.
    """
    plans: list[GroupPlan] = []
    for selected in selections:
        meant = await asyncio.to_thread(selection.symbols, session, selected)
        others = {spec for each in plans for spec in each.specs}
        wanted = group_plan.plan(session, selected.text, meant, selected.kind, hot=force).without(others)
        plans.append(wanted)
        group_plan.require_possible(session, wanted, len(others))
        for line in wanted.lines(session.arming.pace, session.budget):
            narrate(line)
        if wanted.hot:
            narrate("--force arms what is deadly hot, too")
    number = sum(len(each.specs) for each in plans)
    if number > _ASKS_ABOVE and not yes and not await _confirmed(number):
        raise GivenUpError
    return plans


async def _confirmed(number: int) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{number:,} probes are not armed without a question", "--yes arms them")
    print(f"kexplore: arm {number:,} probes? [y/N] ", end="", file=sys.stderr, flush=True)
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()
    loop.add_reader(sys.stdin, answered.set)
    try:
        await answered.wait()  # not a thread's input(): nobody could interrupt that
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


async def arm(
    session: Session, plans: Sequence[GroupPlan], condition: str | None, given_up: Callable[[], bool]
) -> None:
    """Arm the groups; what the kernel refuses is told, and the rest is armed all the same.

    Args:
        session: The session.
        plans: The groups.
        condition: The filter of their hits.
        given_up: Whether the user wants it to stop.

    Raises:
        GivenUpError: He does; nothing of that group is armed any more.
        KexploreError: Nothing of one of them could be armed.
    """
    for wanted in plans:
        if not wanted.specs:
            continue
        conditions = {} if condition is None else apportion(condition, wanted.specs)
        options = Options(registers=False, condition=conditions.get(wanted.specs[0], ""))
        show = _show(wanted.name)

        def heard(progress: Progress, name: str = wanted.name, show: Listener = show) -> None:
            show(progress)
            if given_up():
                groups.give_up(session, name)

        outcome = await groups.arm(session, wanted, options, heard)
        narrate(f"{wanted.name}: {outcome.sentence}")
        if outcome.given_up is not None:
            raise GivenUpError
        _tell_refused(outcome.refused)
        if not outcome.armed and outcome.refused[0].error is not None:
            raise outcome.refused[0].error
        doubtful = sum(not probe.prototype.trust.is_certain for probe in outcome.armed if probe.prototype is not None)
        if doubtful:
            narrate(f"{wanted.name}: of {doubtful:,} the prototype is not certain: kexplore show NAME tells why")


async def disarm(session: Session, plans: Sequence[GroupPlan]) -> list[Probe]:
    """Disarm the groups; the probes with their final counters."""
    return [probe for wanted in plans for probe in await groups.disarm(session, wanted.name, _show(wanted.name))]


def summaries(plans: Sequence[GroupPlan], probes: Sequence[Probe]) -> list[tuple[str, Counters]]:
    """Of each group the sum of its counters, with a name that says of how many probes."""
    found = []
    for wanted in plans:
        members = [probe for probe in probes if probe.group == wanted.name]
        hit = sum(probe.counters.hits > 0 for probe in members)
        total = sum((probe.counters for probe in members), start=Counters())
        found.append((f"{wanted.name}, {hit:,} of {len(members):,} probes hit", total))
    return found


def _show(name: str) -> Listener:
    """A line of progress, where somebody looks."""
    if not sys.stderr.isatty():
        return lambda progress: None

    def show(progress: Progress) -> None:
        line = f"kexplore: {name}: {progress.sentence}" if progress.done < progress.total else ""
        print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)

    return show


def _tell_refused(refused: Sequence[Probe]) -> None:
    causes: dict[str, list[str]] = {}
    for probe in refused:
        causes.setdefault(probe.error.message if probe.error else "", []).append(str(probe.spec))
    for cause, names in causes.items():
        others = f" (and {len(names) - 1:,} more)" if len(names) > 1 else ""
        narrate(f"{names[0]}{others} not armed: {cause}")
