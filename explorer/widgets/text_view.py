"""A pane of lines that are read: scrolled, with nothing in it to pick."""

from __future__ import annotations

from collections.abc import Iterable

from rich.segment import Segment

from explorer.widgets.card_lines import Lines
from explorer.widgets.line_view import LineView


class TextView(LineView):
    """Lines; the keys that move a cursor elsewhere scroll here."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._lines: Lines = []

    def show_lines(self, lines: Lines) -> None:
        """Show other lines, as far down as before."""
        self._lines = lines
        self.rows_changed()

    @property
    def row_count(self) -> int:
        """Lines."""
        return len(self._lines)

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """A line."""
        return self._lines[row]

    def marks_cursor(self) -> bool:
        """No line is different."""
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
