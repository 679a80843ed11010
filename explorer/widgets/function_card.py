"""The card of one function: its prototype, where each argument lives, and whether it can be probed or why not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType

from explorer.session.session import Session
from explorer.widgets.card_lines import Lines, card_lines
from explorer.widgets.line_view import LineView
from explorer.widgets.palette import MUTED
from symbols.symbol import Symbol

_SPACIOUS = 13
"""Rows from which the card can afford blank lines."""


class FunctionCard(LineView):
    """The card of the function that was last chosen; moves by lines, nothing in it is selected."""

    HELP: ClassVar[str] = "function card"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "space", "screen.toggle_probe('entry')", "Probe", key_display="Space", id="card.entry-probe",
            tooltip="Arm or disarm a probe at the entry of this function",
        ),
        Binding(
            "r", "screen.toggle_probe('return')", "Return", id="card.return-probe",
            tooltip="Arm or disarm a probe at the return of this function",
        ),
        Binding(
            "v", "screen.toggle_variants", "Variants", show=False, id="card.variants",
            tooltip="Arm or disarm entry probes on the function and what the compiler made of it (.isra, .part ...)",
        ),
        Binding("n", "screen.next_of_kin(1)", "Next of the name", show=False, id="card.next-of-kin",
                tooltip="The next function that comes of the same name: the one to arm where several share it"),
        Binding("N", "screen.next_of_kin(-1)", "Previous of the name", show=False, id="card.previous-of-kin",
                tooltip="The previous function that comes of the same name"),
        Binding(
            "o", "screen.types", "Types", id="card.types",
            tooltip="Open the structs, unions and enums of its parameters and of what it returns",
        ),
        Binding("i", "screen.inlined", "Inlined", show=False, id="card.inlined",
                tooltip="The places where this function was inlined, to arm probes there"),
        Binding("a", "screen.code", "Code", id="card.code",
                tooltip="Open its instructions, to put probes inside it"),
        Binding("y", "screen.copy", "Copy", id="card.copy", tooltip="Copy the prototype"),
    ]  # fmt: skip

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._session: Session | None = None
        self._lines: Lines = []
        self.symbol: Symbol | None = None
        """The function that is shown."""

    def show(self, session: Session, symbol: Symbol | None) -> None:
        """Show a function's card, from its top."""
        self._session, self.symbol = session, symbol
        self.cursor = 0
        self.scroll_to(y=0, animate=False, force=True)
        self.renew()

    def renew(self) -> None:
        """Show the same function again: something about it became known or changed."""
        width = self.scrollable_content_region.width
        if self._session is None or self.symbol is None or not width:
            self._lines = []
        else:
            self._lines = card_lines(self._session, self.symbol, width, spacious=self.size.height >= _SPACIOUS)
        self.rows_changed()

    @property
    def row_count(self) -> int:
        """Lines of the card."""
        return len(self._lines)

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """One line of the card."""
        return self._lines[row]

    def draw_empty(self, line: int, width: int) -> Iterable[Segment]:
        """No function is chosen."""
        if line == 0:
            yield Segment("no function is chosen", MUTED)

    def marks_cursor(self) -> bool:
        """A card is read, not picked from."""
        return False

    def action_move(self, rows: int) -> None:
        """Scroll."""
        self.scroll_relative(y=rows, animate=False, force=True)

    def action_move_page(self, pages: int) -> None:
        """Scroll by what the pane shows."""
        self.scroll_relative(y=pages * max(1, self.size.height - 1), animate=False, force=True)

    def action_move_to_first(self) -> None:
        """Scroll to the top."""
        self.scroll_to(y=0, animate=False, force=True)

    def action_move_to_last(self) -> None:
        """Scroll to the end."""
        self.scroll_to(y=self.row_count, animate=False, force=True)

    def on_resize(self) -> None:
        """The prototype breaks elsewhere."""
        self.renew()
