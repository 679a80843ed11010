"""Writing what the probes may cost, judged at every key."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from explorer.session.budget import HINT, Budget
from symbols.errors import KexploreError


class BudgetScreen(ModalScreen[Budget | None]):
    """Ends with the new budget; with None when it is to stay as it was.

    Args:
        budget: The present one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Leave it", key_display="Esc", id="budget.leave", tooltip="Leave it"),
    ]

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self._budget = budget

    def compose(self) -> ComposeResult:
        """The line, and below it what it means."""
        with Vertical(id="box") as box:
            box.border_title = "what probes may cost"
            box.border_subtitle = "Enter apply   Esc leave it"
            line = Input(str(self._budget), id="budget", compact=True, select_on_focus=False)
            line.cursor_blink = False
            yield line
            yield Static(id="meaning")

    def on_mount(self) -> None:
        """What stands there is explained at once."""
        self.query_one(Input).focus()
        self._explain()

    @on(Input.Changed, "#budget")
    def _explain(self) -> None:
        try:
            budget = Budget.parse(self.query_one(Input).value)
        except KexploreError as error:
            words = f"{error.message}: {error.hint}"
        else:
            over = "what costs more is sampled, and stopped if that is not enough"
            words = "no limit: nothing holds back a flood" if budget == Budget(None, None) else f"{budget.text}; {over}"
        self.query_one("#meaning", Static).update(Content(f"{words}\n\n{HINT}"))

    @on(Input.Submitted, "#budget")
    def _submitted(self) -> None:
        try:
            budget = Budget.parse(self.query_one(Input).value)
        except KexploreError:
            self.app.bell()  # what is wrong stands below
        else:
            self.dismiss(budget)
