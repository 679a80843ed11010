"""Arming and disarming many probes: a few by each request, with progress, and given up when somebody wants that.

A group is its probes, each of which knows its name: it is there as long as one of them is. One whose arming is given up
is disarmed again: half of a group would count half of what its name says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

from explorer.agent.protocol import MOST_AT_ONCE
from explorer.errors import AgentError
from explorer.session.change import Change
from explorer.session.group_plan import GroupPlan
from explorer.session.group_work import GroupWork, Progress
from explorer.session.options import Options
from explorer.session.probe import Probe, ProbeState
from explorer.session.probe_spec import ProbeSpec
from explorer.session.session import Session

_PATIENCE = 0.2
"""Seconds that one request should take: the agent looks at nothing else meanwhile, and nothing is given up."""
_FIRST = 8
"""Probes in the first request, which shows how many that are."""

Listener = Callable[[Progress], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How arming a group ended.

    Attributes:
        armed: The probes that are armed; none where it was given up.
        refused: Those that the kernel refused, each with its error.
        given_up: How many had been armed, and are disarmed again; None where it was not given up.
        seconds: How long it took.
    """

    armed: tuple[Probe, ...]
    refused: tuple[Probe, ...]
    given_up: int | None
    seconds: float

    @property
    def sentence(self) -> str:
        """In words."""
        if self.given_up is not None:
            return f"given up: {self.given_up:,} that were armed are disarmed again"
        refused = f", {len(self.refused):,} refused" if self.refused else ""
        return f"{len(self.armed):,} armed in {self.seconds:.1f} s{refused}"


async def arm(session: Session, wanted: GroupPlan, options: Options, listener: Listener | None = None) -> Outcome:
    """Arm a group; ``give_up`` stops it.

    Args:
        session: The session.
        wanted: What ``group_plan.plan`` found.
        options: For all of its probes.
        listener: Told of the progress before each request and after the last.

    Raises:
        AgentError: The agent is gone, or took none of a request.
    """
    begin = time.monotonic()
    probes: list[Probe] = []
    pace = session.arming.pace
    rest = list(wanted.specs)
    with _work(session, wanted.name) as work:
        while rest:
            _tell(session, work, listener, "arming", len(probes), len(wanted.specs), len(rest) * pace.arming)
            if work.given_up:
                armed = sum(probe.state is ProbeState.ARMED for probe in probes)
                await _disarm(session, work, [probe.spec for probe in probes], listener)
                return Outcome((), (), armed, time.monotonic() - begin)
            some, rest = _split(rest, pace.arming if probes else _PATIENCE / _FIRST)
            probes += await session.arming.arm_many(some, options, wanted.name)
        _tell(session, work, listener, "arming", len(probes), len(probes), 0.0)
    refused = tuple(probe for probe in probes if probe.state is ProbeState.FAILED)
    armed_now = tuple(probe for probe in probes if probe.state is ProbeState.ARMED)
    return Outcome(armed_now, refused, None, time.monotonic() - begin)


async def disarm(session: Session, group: str, listener: Listener | None = None) -> list[Probe]:
    """Disarm a group.

    Args:
        session: The session.
        group: Its name; "" for the probes that belong to none.
        listener: As for ``arm``.

    Returns:
        Its probes, with their final counters.

    Raises:
        AgentError: It is being armed or disarmed already, or the agent could not disarm it.
    """
    with _work(session, group) as work:
        return await _disarm(session, work, [probe.spec for probe in members(session, group)], listener)


def give_up(session: Session, group: str) -> bool:
    """Stop the arming of a group; whether it is being armed."""
    work = session.arming.works.get(group)
    if work is None or work.progress is None or work.progress.doing != "arming":
        return False
    work.given_up = True
    return True


def members(session: Session, group: str) -> list[Probe]:
    """The probes of a group."""
    return [probe for probe in session.probes.values() if probe.group == group]


@contextlib.contextmanager
def _work(session: Session, group: str) -> Iterator[GroupWork]:
    works = session.arming.works
    if group in works:
        raise AgentError(f"{group or 'probes'}: something is being done to it", "wait a moment")
    works[group] = GroupWork()
    try:
        yield works[group]
    finally:
        del works[group]
        session.tell(Change.PROBES)


async def _disarm(
    session: Session, work: GroupWork, specs: Sequence[ProbeSpec], listener: Listener | None
) -> list[Probe]:
    probes: list[Probe] = []
    pace = session.arming.pace
    rest = list(specs)
    while rest:
        _tell(session, work, listener, "disarming", len(specs) - len(rest), len(specs), len(rest) * pace.disarming)
        some, rest = _split(rest, pace.disarming)
        probes += await session.arming.disarm(some)
    _tell(session, work, listener, "disarming", len(specs), len(specs), 0.0)
    return probes


def _tell(
    session: Session, work: GroupWork, listener: Listener | None, doing: str, done: int, total: int, left: float
) -> None:
    work.progress = Progress(doing, done, total, left)
    session.tell(Change.PROBES)
    if listener is not None:
        listener(work.progress)


def _split(specs: list[ProbeSpec], seconds_each: float) -> tuple[list[ProbeSpec], list[ProbeSpec]]:
    most = max(1, min(MOST_AT_ONCE, int(_PATIENCE / seconds_each)))
    return specs[:most], specs[most:]
