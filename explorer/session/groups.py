"""Arming and disarming many probes: a few by each request, with progress, and given up when somebody wants that.

A group is its probes, each of which knows its name: it is there as long as one of them is. One whose arming is given up
is disarmed again: half of a group would count half of what its name says.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

from explorer.agent.protocol import MOST_AT_ONCE
from explorer.session.arming import Options
from explorer.session.group_plan import GroupPlan
from explorer.session.probe import Probe, ProbeState
from explorer.session.probe_spec import ProbeSpec
from explorer.session.session import Session

_PATIENCE = 0.2
"""Seconds that one request should take: the agent looks at nothing else meanwhile, and nothing is given up."""
_FIRST = 8
"""Probes in the first request, which shows how many that are."""


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far it is.

    Attributes:
        doing: ``arming`` or ``disarming``.
        done: Probes that are done.
        total: Of so many.
        left: Seconds that the rest will take, by what was measured.
    """

    doing: str
    done: int
    total: int
    left: float

    @property
    def sentence(self) -> str:
        """In words."""
        return f"{self.doing} {self.done:,} of {self.total:,}, {self.left:.0f} s left"


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


def _ignore(progress: Progress) -> None:
    """Nobody wants to know."""


async def arm(
    session: Session,
    wanted: GroupPlan,
    options: Options,
    progress: Callable[[Progress], None] = _ignore,
    given_up: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Arm a group.

    Args:
        session: The session.
        wanted: What ``group_plan.plan`` found.
        options: For all of its probes.
        progress: Called before the first request and after each.
        given_up: Asked before each request whether it is to stop; then what has been armed is disarmed again.

    Raises:
        AgentError: The agent is gone, or took none of a request.
    """
    begin = time.monotonic()
    probes: list[Probe] = []
    pace = session.arming.pace
    rest = list(wanted.specs)
    while rest:
        progress(Progress("arming", len(probes), len(wanted.specs), len(rest) * pace.arming))
        if given_up():
            armed = sum(probe.state is ProbeState.ARMED for probe in probes)
            await disarm(session, [probe.spec for probe in probes], progress)
            return Outcome((), (), armed, time.monotonic() - begin)
        some, rest = _split(rest, pace.arming if probes else _PATIENCE / _FIRST)
        probes += await session.arming.arm_many(some, options, wanted.name)
    progress(Progress("arming", len(probes), len(wanted.specs), 0.0))
    refused = tuple(probe for probe in probes if probe.state is ProbeState.FAILED)
    armed_now = tuple(probe for probe in probes if probe.state is ProbeState.ARMED)
    return Outcome(armed_now, refused, None, time.monotonic() - begin)


async def disarm(
    session: Session, specs: Sequence[ProbeSpec], progress: Callable[[Progress], None] = _ignore
) -> list[Probe]:
    """Disarm probes, of a group or not.

    Args:
        session: The session.
        specs: Which; those that are not there are passed over.
        progress: Called before the first request and after each.

    Returns:
        Those that there were, with their final counters.

    Raises:
        AgentError: The agent could not disarm them.
    """
    probes: list[Probe] = []
    pace = session.arming.pace
    rest = list(specs)
    while rest:
        progress(Progress("disarming", len(specs) - len(rest), len(specs), len(rest) * pace.disarming))
        some, rest = _split(rest, pace.disarming)
        probes += await session.arming.disarm(some)
    progress(Progress("disarming", len(specs), len(specs), 0.0))
    return probes


def members(session: Session, group: str) -> list[Probe]:
    """The probes of a group."""
    return [probe for probe in session.probes.values() if probe.group == group]


def _split(specs: list[ProbeSpec], seconds_each: float) -> tuple[list[ProbeSpec], list[ProbeSpec]]:
    most = max(1, min(MOST_AT_ONCE, int(_PATIENCE / seconds_each)))
    return specs[:most], specs[most:]
