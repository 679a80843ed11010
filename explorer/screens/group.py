"""The question before a group of probes is armed: what it is, what it takes, what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from explorer.session import group_plan
from explorer.session.group_plan import GroupPlan
from explorer.session.probe_spec import ProbeKind
from explorer.session.session import Session
from symbols.errors import KexploreError
from symbols.symbol import Symbol

_REGISTERS = "events have the arguments, not all registers: for those arm a function by itself"


class GroupScreen(ModalScreen[GroupPlan | None]):
    """Ends with the plan that is to be carried out; with None when nothing is to be armed.

    Args:
        session: The session.
        name: What the group will be called.
        functions: Finds the functions that are meant; called by a worker.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "arm", "Arm", id="group.arm", tooltip="Arm the group as it is described"),
        Binding("r", "returns", "Returns", id="group.returns", tooltip="Return probes, or entry probes again"),
        Binding("h", "hot", "Hot ones", id="group.hot", tooltip="With the deadly hot functions, or without"),
        Binding("n,escape", "leave", "Leave it", id="group.leave", tooltip="Arm nothing"),
    ]

    def __init__(self, session: Session, name: str, functions: Callable[[], Sequence[Symbol]]) -> None:
        super().__init__()
        self._session = session
        self._group = name
        self._functions = functions
        self._found: Sequence[Symbol] | None = None
        self._plan: GroupPlan | None = None
        self._kind = ProbeKind.ENTRY
        self._hot = False

    def compose(self) -> ComposeResult:
        """What there is to know, and the keys."""
        with Vertical(id="box") as box:
            box.border_title = Content("arm a group")
            box.border_subtitle = "y arm   r returns   h hot ones   Esc leave it"
            yield Static(Content("looking at the functions…"), id="group")

    def on_mount(self) -> None:
        """Look at the functions."""
        self._look()

    def _look(self) -> None:
        self._plan = None
        self.run_worker(self._look_at_functions(), exclusive=True)

    async def _look_at_functions(self) -> None:
        try:
            if self._found is None:
                self._found = await asyncio.to_thread(self._functions)
            plan = await asyncio.to_thread(
                group_plan.plan, self._session, self._group, self._found, self._kind, hot=self._hot
            )
            lines = [*plan.lines(self._session.arming.pace, self._session.budget), _REGISTERS]
            group_plan.require_possible(self._session, plan)
            self._plan = plan
        except KexploreError as error:
            lines = [f"{error.message}.", *([error.hint] if error.hint else [])]
        self.query_one("#group", Static).update(Content("\n".join(lines)))

    def action_arm(self) -> None:
        """Arm it, once it is known what it is."""
        if self._plan is not None:
            self.dismiss(self._plan)

    def action_returns(self) -> None:
        """The other kind of probes."""
        self._kind = ProbeKind.ENTRY if self._kind is ProbeKind.RETURN else ProbeKind.RETURN
        self._look()

    def action_hot(self) -> None:
        """With or without what is left out."""
        self._hot = not self._hot
        self._look()

    def action_leave(self) -> None:
        """Arm nothing."""
        self.dismiss(None)
