"""A question with two answers."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static


class ConfirmScreen(ModalScreen[bool]):
    """Ends with whether the answer was yes.

    Args:
        question: One or two sentences.
        yes: What yes does, as the key line says it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "Yes", id="confirm.yes", tooltip="Do it"),
        Binding("n,escape", "answer(False)", "No", id="confirm.no", tooltip="Leave things as they are"),
    ]

    def __init__(self, question: str, yes: str) -> None:
        super().__init__()
        self._question = question
        self._yes = yes

    def compose(self) -> ComposeResult:
        """The question and its keys."""
        with Vertical(id="box") as box:
            box.border_subtitle = f"y {self._yes}   n leave it"
            yield Static(Content(self._question))

    def action_answer(self, answer: bool) -> None:
        """Answer."""
        self.dismiss(answer)
