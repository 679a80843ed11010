"""What screens ask of groups of probes: told first, armed and disarmed beside the screen, given up."""

from __future__ import annotations

from collections.abc import Sequence

from explorer.screens.group import GroupScreen
from explorer.screens.probe_requests import ProbeRequests
from explorer.session import groups
from explorer.session.finding import Found, armed_rows, find
from explorer.session.group_plan import GroupPlan
from explorer.session.options import Options
from explorer.session.session import Session
from symbols.symbol import Symbol


class GroupRequests:
    """The requests of one screen about groups.

    Args:
        requests: Its requests about single probes.
    """

    def __init__(self, requests: ProbeRequests) -> None:
        self._requests = requests

    def arm(self, session: Session, marked: Sequence[Symbol], listed: Found | None) -> None:
        """Tell what a group would be, and arm it where that is wanted.

        Args:
            session: The session.
            marked: The functions that the user marked; empty: all that are listed are meant.
            listed: What is listed; without a query that is every function, which nobody means.
        """
        if not self._requests.can_probe(session):
            return
        if marked:
            name = f"{len(marked):,} marked"
            self._ask(GroupScreen(session, name, lambda: marked), session)
        elif listed is not None and listed.query.strip():
            query = listed.query.strip()
            armed = armed_rows(session, query)
            self._ask(GroupScreen(session, query, lambda: _functions(session, query, armed)), session)
        else:
            self._requests.tell("every function is listed", "mark some with m, or type what they have in common: tcp_*")

    def _ask(self, screen: GroupScreen, session: Session) -> None:
        def answered(plan: GroupPlan | None) -> None:
            if plan is not None:
                self._requests.make(self._arm(session, plan))

        self._requests.screen.app.push_screen(screen, answered)

    async def _arm(self, session: Session, plan: GroupPlan) -> None:
        outcome = await groups.arm(session, plan, Options(registers=False))
        why = next((probe.error.message for probe in outcome.refused if probe.error is not None), "")
        self._requests.tell(f"{plan.name}: {outcome.sentence}", why)

    def disarm(self, session: Session, group: str) -> None:
        """Disarm a group; where it is being armed, give that up."""
        if not groups.give_up(session, group):
            self._requests.make(groups.disarm(session, group))

    def disarm_all(self, session: Session) -> None:
        """Disarm every probe, of groups and single ones."""
        for group in {probe.group for probe in session.probes.values()} | set(session.arming.works):
            self.disarm(session, group)


def _functions(session: Session, query: str, armed: frozenset[int]) -> list[Symbol]:
    """All that a query finds, also what is not listed any more."""
    catalog = session.catalog
    assert catalog is not None
    found = find(session, query, len(catalog.rows), armed)
    return [catalog.symbol(catalog.rows[row]) for row in found.rows]
