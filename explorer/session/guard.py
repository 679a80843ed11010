"""What the agent's guard says of a probe, in words: its rate, what that costs, whether it is held back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from explorer.agent.guard import State
from explorer.agent.protocol import Message

__all__ = ["RAISE_HINT", "Guarded", "State", "core_share", "together"]


@dataclasses.dataclass(frozen=True, slots=True)
class Guarded:
    """The guard's last word on a probe.

    Attributes:
        state: What it lets the probe do.
        rate: Hits per second; an estimate unless the probe is running.
        cost: The share of a processor that this rate takes with the probe always enabled; a prediction.
        enabled: The part of the time that the probe is enabled.
        unseen: An estimate of its hits while it was not, which its counters do not hold.
        cause: Why it was stopped where it was not for its rate, else "".
    """

    state: State
    rate: float
    cost: float
    enabled: float
    unseen: int
    cause: str

    @classmethod
    def from_message(cls, report: Message) -> Guarded:
        """Read a GUARD of the protocol."""
        return cls(
            State(report["state"]), float(report["rate"]), float(report["cost"]), float(report["enabled"]),
            int(report["unseen"]), str(report["cause"]),
        )  # fmt: skip

    @property
    def holds_back(self) -> bool:
        """Whether the probe does not see all that happens, or has not."""
        return self.state is not State.RUNNING or self.unseen > 0

    @property
    def cost_text(self) -> str:
        """The predicted cost: ``3% of a core``."""
        return core_share(self.cost)

    @property
    def text(self) -> str:
        """Why the probe does not see all; "" where it does."""
        if self.state is State.SAMPLED:
            return f"sampled ({self.enabled * 1000:.0f} ms of each second), ~{self.rate:,.0f}/s estimated"
        if self.state is State.STOPPED and self.cause:
            return f"stopped: it could not be enabled again: {self.cause}"
        if self.state is State.STOPPED:
            return f"stopped by the guard: ~{self.rate:,.0f}/s would cost {self.cost_text}"
        return f"was sampled: ~{self.unseen:,} hits unseen, an estimate" if self.unseen else ""

    def to_json(self) -> dict[str, Any]:
        """The ``guard`` member of the summary of ``trace --json``; estimates are called so."""
        return {
            "state": self.state.value, "estimated_cost": self.cost,
            "rate" if self.state is State.RUNNING else "estimated_rate": self.rate,
            "enabled": self.enabled, "estimated_unseen": self.unseen,
        }  # fmt: skip


def together(reports: Sequence[Guarded]) -> Guarded | None:
    """What the guard says of several probes that it holds back together; None where it has said nothing yet."""
    if not reports:
        return None
    states = [report.state for report in reports]
    worst = next(state for state in (State.STOPPED, State.SAMPLED, State.RUNNING) if state in states)
    return Guarded(
        worst, sum(report.rate for report in reports), sum(report.cost for report in reports),
        min(report.enabled for report in reports), sum(report.unseen for report in reports),
        next((report.cause for report in reports if report.cause), ""),
    )  # fmt: skip


def core_share(share: float) -> str:
    """A share of a processor's time: ``0.31% of a core``."""
    percent = share * 100
    if percent < 0.01:
        return "<0.01% of a core"
    return f"{percent:,.2f}% of a core" if percent < 1 else f"{percent:,.0f}% of a core"


RAISE_HINT = "--max-rate raises the budget"
"""What to do about it on the command line."""
