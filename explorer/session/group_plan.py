"""What arming many functions at once would mean: how many take a probe, why the others do not, how long, what it costs.

All of it is told before anything is armed.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping

from explorer.agent import hit_cost
from explorer.session import hot_functions
from explorer.session.budget import Budget
from explorer.session.guard import core_share
from explorer.session.pace import Pace
from explorer.session.probe import ProbeState
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.session import Session
from symbols.errors import KexploreError
from symbols.symbol import Symbol
from symbols.verdict import Mechanism

CEILING = 1000
"""Probes of one session: beyond, every look at their counts and every change of one takes noticeably longer."""
_NAMED = 3
"""Functions of each sort that are named."""


class GroupError(KexploreError):
    """What was wanted is no group that can be armed."""


@dataclasses.dataclass(frozen=True, slots=True)
class GroupPlan:
    """A group that may be armed.

    Attributes:
        name: What the user wrote, or a word for what was marked.
        kind: Of all its probes.
        specs: What would be armed.
        armed: How many of those wanted are armed already, and stay as they are.
        hot: The names of deadly hot functions that are left out.
        refused: The names of those that take no probe, by the cause in a word or two.
        hit_ns: What a hit of one of the probes costs on the average, in nanoseconds: the session's prices.
    """

    name: str
    kind: ProbeKind
    specs: tuple[ProbeSpec, ...]
    armed: int
    hot: tuple[str, ...]
    refused: Mapping[str, tuple[str, ...]]
    hit_ns: float

    @property
    def wanted(self) -> int:
        """How many functions were asked for."""
        return len(self.specs) + self.armed + len(self.hot) + sum(map(len, self.refused.values()))

    def without(self, others: Collection[ProbeSpec]) -> GroupPlan:
        """The same, but for what another group arms."""
        specs = tuple(spec for spec in self.specs if spec not in others)
        return dataclasses.replace(self, specs=specs, armed=self.armed + len(self.specs) - len(specs))

    def lines(self, pace: Pace, budget: Budget) -> list[str]:
        """All that there is to know before it is armed, a sentence a line."""
        lines = [
            f"{self.name}: {_count(self.wanted, 'function')}, "
            f"{_count(len(self.specs), f'{self.kind.value} probe')} to arm"
        ]
        if self.armed:
            lines.append(f"armed already: {self.armed:,}")
        if self.hot:
            lines.append(f"left out as deadly hot: {_naming(self.hot)}")
        for cause, names in self.refused.items():
            lines.append(f"cannot be probed, {cause}: {_naming(names)}")
        if self.specs:
            lines += [pace.sentence(len(self.specs)), self._cost(budget)]
        return lines

    def _cost(self, budget: Budget) -> str:
        if budget.share is None:
            return f"a hit costs about {self.hit_ns / 1000:.1f} µs; no budget holds all of them together back"
        rate = budget.share * 1e9 / self.hit_ns
        return (
            f"a hit costs about {self.hit_ns / 1000:.1f} µs: {_rounded(rate)} hits/s of all together take "
            f"{core_share(budget.share)}, the guard's budget; above that it samples the dearest"
        )


def plan(session: Session, name: str, symbols: Iterable[Symbol], kind: ProbeKind, *, hot: bool = False) -> GroupPlan:
    """Look at functions that may be armed together; a worker's job where they are thousands.

    Args:
        session: With its lists loaded.
        name: What to call the group.
        symbols: The functions; of a name that several have, each is meant.
        kind: Entry or return.
        hot: Whether deadly hot functions are wanted as well.
    """
    catalog = session.catalog
    assert catalog is not None
    specs: dict[ProbeSpec, None] = {}
    armed, left_out, nanoseconds = 0, list[str](), 0.0
    refused: dict[str, list[str]] = collections.defaultdict(list)
    for symbol in symbols:
        for each in catalog.find(symbol.qualified_name) if catalog.count(symbol) > 1 else (symbol,):
            verdict = catalog.verdict(each)
            spec = session.probe_for(each, kind)
            known = session.probes.get(spec)
            if not verdict.can_arm:
                refused[verdict.kind.value].append(each.name)
            elif known is not None and known.state is not ProbeState.FAILED:
                armed += 1
            elif hot_functions.reason(each.name) and not hot:
                left_out.append(each.name)
            else:
                specs[spec] = None
                nanoseconds += _hit_ns(verdict.mechanism, kind, session.prices)
    causes = {cause: tuple(names) for cause, names in sorted(refused.items(), key=lambda item: -len(item[1]))}
    return GroupPlan(name, kind, tuple(specs), armed, tuple(left_out), causes, nanoseconds / max(1, len(specs)))


def require_possible(session: Session, wanted: GroupPlan, others: int = 0) -> None:
    """See that a group can be armed at all.

    Args:
        session: The session.
        wanted: The group.
        others: Probes of other groups that are to be armed besides.

    Raises:
        GroupError: There is nothing in it, or too much.
        KexploreError: This kernel takes no probes.
    """
    refusal = session.opened().refusal()
    if refusal is not None:
        raise refusal
    if not wanted.specs:
        cause = "; ".join(wanted.lines(session.arming.pace, session.budget)[1:]) or "no function is meant"
        raise GroupError(f"{wanted.name}: nothing to arm: {cause}")
    there = others + sum(probe.number is not None for probe in session.probes.values())
    if there + len(wanted.specs) > CEILING:
        besides = f" besides {there:,} others" if there else ""
        raise GroupError(
            f"{wanted.name}: {len(wanted.specs):,} probes{besides} are over the ceiling of {CEILING:,}: all probes are "
            "looked at every second, and each takes its time to arm and to remove",
            "narrow it: a longer pattern, mod:NAME, takes:TYPE, is:ftrace",
        )


def _hit_ns(mechanism: Mechanism | None, kind: ProbeKind, prices: hit_cost.Prices) -> int:
    entry = prices.ftrace if mechanism is Mechanism.FTRACE else prices.breakpoint
    both = 2 if kind is ProbeKind.CALL else 1
    return both * (entry + hit_cost.DECODE_NS) + (prices.returned if kind is not ProbeKind.ENTRY else 0)


def _naming(names: tuple[str, ...]) -> str:
    more = ", …" if len(names) > _NAMED else ""
    return f"{len(names):,} ({', '.join(names[:_NAMED])}{more})"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _rounded(number: float) -> str:
    """Two figures: it is an estimate."""
    return f"{float(f'{number:.1e}'):,.0f}"
