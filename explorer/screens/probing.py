"""A screen of panes from which probes are armed, changed and disarmed: what the keys of its panes ask for."""

from __future__ import annotations

from explorer.screens import kernel_counts
from explorer.screens.group_requests import GroupRequests
from explorer.screens.panes import PanedScreen
from explorer.screens.probe_requests import ProbeChange, ProbeRequests
from explorer.session.finding import Found
from explorer.session.probe_spec import ProbeKind
from explorer.session.session import Session
from explorer.widgets.function_card import FunctionCard
from explorer.widgets.function_list import FunctionList
from explorer.widgets.kin_lines import next_of_kin
from explorer.widgets.probe_list import ProbeList
from explorer.widgets.search_box import SearchBox
from symbols.symbol import Symbol


class ProbingScreen(PanedScreen):
    """Has a list of functions, the card of one of them, and a list of probes, which a subclass composes.

    Attributes:
        search_box: What finds functions.
        functions: What can be probed.
        card: The function that is looked at.
        probes: Those of the session.
    """

    search_box: SearchBox
    functions: FunctionList
    card: FunctionCard
    probes: ProbeList

    def __init__(self) -> None:
        super().__init__()
        self._session: Session | None = None
        self._listed: Found | None = None
        self._requests = ProbeRequests(self)
        self._groups = GroupRequests(self._requests)

    @property
    def _looked_at(self) -> Symbol | None:
        return self.card.symbol if self.focused is self.card else self.functions.selected

    def action_toggle_probe(self, kind: str) -> None:
        """Arm or disarm a probe on the function that is looked at."""
        session, symbol = self._session, self._looked_at
        if session is not None and symbol is not None:
            self._requests.toggle(session, symbol, ProbeKind(kind))

    def action_toggle_variants(self) -> None:
        """Arm or disarm the function that is looked at with all that the compiler made of it."""
        session, symbol = self._session, self._looked_at
        if session is not None and symbol is not None:
            self._requests.toggle_variants(session, symbol)

    def action_next_of_kin(self, step: int) -> None:
        """Look at another function that comes of the same name."""
        session, symbol = self._session, self._looked_at
        if session is not None and symbol is not None:
            self.card.show(session, next_of_kin(session, symbol, step))
            self.action_focus_pane("card")

    def action_inlined(self) -> None:
        """Where the function that is looked at was inlined."""
        if self._session is not None:
            query = self.search_box.value.strip()
            self._requests.make(self._show_inlined(self._session, self._looked_at, query))

    async def _show_inlined(self, session: Session, symbol: Symbol | None, query: str) -> None:
        from explorer.screens import inlined  # reading DWARF takes a while to import

        screen = await inlined.screen_for(session, symbol, query)
        if screen is not None:
            self.app.push_screen(screen)

    def action_change_probe(self, change: str) -> None:
        """Change the probe under the cursor."""
        if self.probes.selected is not None and self._session is not None:
            self._requests.change(self._session, self.probes.selected, ProbeChange(change))

    def action_count_probe(self) -> None:
        """Count the hits of the probe under the cursor in the kernel."""
        if self._session is not None and self.probes.selected is not None:
            self._requests.make(kernel_counts.look(self._requests, self._session, self.probes.selected.spec))

    def action_budget(self) -> None:
        """Edit what the probes may cost."""
        if self._session is not None and self._session.hello is not None and self._session.hello.can_probe:
            self._requests.edit_budget(self._session)

    def action_disarm(self) -> None:
        """Disarm the probe or the group under the cursor."""
        session, group = self._session, self.probes.selected_group
        if session is not None and group is not None:
            self._groups.disarm(session, group.name)
        elif session is not None and self.probes.selected is not None:
            self._requests.make(session.disarm(self.probes.selected.spec))

    def action_disarm_all(self) -> None:
        """Disarm every probe."""
        if self._session is not None:
            self._groups.disarm_all(self._session)

    def action_arm_group(self) -> None:
        """Arm the functions that are marked, or all that are listed, as a group."""
        if self._session is not None:
            self._groups.arm(self._session, self.functions.marked, self._listed)
