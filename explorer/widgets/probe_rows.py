"""The rows of the list of probes: single probes, calls, and groups, each folded into one or followed by its members."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from explorer.session.group_work import GroupWork
from explorer.session.probe import Counters, Probe, ProbeState

HOTTEST = 3
"""Members that a group's row names."""


@dataclasses.dataclass(frozen=True, slots=True)
class GroupRow:
    """A group in one row.

    Attributes:
        name: Of the group.
        members: Its probes, refused ones included.
        unfolded: Whether they follow.
        work: What is being done to it; None: nothing.
    """

    name: str
    members: tuple[Probe, ...]
    unfolded: bool
    work: GroupWork | None

    @property
    def counters(self) -> Counters:
        """The sums of all its probes."""
        return sum((probe.counters for probe in self.members), start=Counters())

    @property
    def rate(self) -> float:
        """Hits a second of all its probes."""
        return sum(probe.rate for probe in self.members)

    @property
    def refused(self) -> int:
        """How many of its probes could not be armed."""
        return sum(probe.state is ProbeState.FAILED for probe in self.members)

    @property
    def hottest(self) -> list[Probe]:
        """Those that are hit most, most first: by the rate, and by the count where nothing happens."""
        hit = [probe for probe in self.members if probe.counters.hits]
        return sorted(hit, key=lambda probe: (-probe.rate, -probe.counters.hits))[:HOTTEST]


Row = Probe | GroupRow


def rows(probes: Sequence[Probe], works: dict[str, GroupWork], unfolded: Collection[str]) -> list[Row]:
    """The rows for these probes: each group stands where the first of its probes would.

    Args:
        probes: Oldest first.
        works: What is being done to groups, by their names.
        unfolded: The names of the groups that show their members.
    """
    members: dict[str, list[Probe]] = {}
    for probe in probes:
        members.setdefault(probe.group, []).append(probe)
    found: list[Row] = []
    placed: set[str] = set()
    for probe in probes:
        name = probe.group
        if not name:
            found += _of_probe(probe)
        elif name not in placed:
            placed.add(name)
            group = GroupRow(name, tuple(members[name]), name in unfolded, works.get(name))
            found.append(group)
            if group.unfolded:
                found += [row for member in group.members for row in _of_probe(member)]
    return found


def _of_probe(probe: Probe) -> Sequence[Row]:
    """A call has a second row for its returns, while it is armed."""
    return (probe, *probe.parts[1:]) if probe.state is ProbeState.ARMED else (probe,)
