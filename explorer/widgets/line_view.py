"""A pane of rows, of any number, of which only the visible ones are ever drawn, one of them under a cursor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from explorer.widgets.cells import strip
from explorer.widgets.palette import SELECTED, SELECTED_BLURRED, SELECTED_PLAIN


class LineView(ScrollView, can_focus=True):
    """Base of the panes; a subclass says how many rows there are and draws one.

    Attributes:
        cursor: The row under the cursor; 0 while there are no rows.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="rows.up", tooltip="One row up"),
        Binding("down,j", "move(1)", "Down", show=False, id="rows.down", tooltip="One row down"),
        Binding("pageup", "move_page(-1)", "Page up", show=False, id="rows.page-up", tooltip="One page up"),
        Binding("pagedown", "move_page(1)", "Page down", show=False, id="rows.page-down", tooltip="One page down"),
        Binding("home,g", "move_to_first", "First", show=False, id="rows.first", tooltip="To the first row"),
        Binding("end,G", "move_to_last", "Last", show=False, id="rows.last", tooltip="To the last row"),
    ]

    # Textual's own asks for a new layout of the whole screen at each change.
    virtual_size: Reactive[Size] = Reactive(Size(0, 0))

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, view: LineView) -> None:
            self.view = view
            super().__init__()

        @property
        def control(self) -> LineView:
            """The pane, for ``@on`` selectors."""
            return self.view

    class Chosen(Moved):
        """Enter, or a click on the row under the cursor."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.cursor = 0
        self._width = 0
        self._beneath = Style.null()

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """One row, without the look of the cursor; longer than ``width`` it is cut."""
        raise NotImplementedError

    def draw_empty(self, line: int, width: int) -> Iterable[Segment]:
        """A line of the pane while there are no rows."""
        return ()

    def marks_cursor(self) -> bool:
        """Whether the row under the cursor looks different."""
        return True

    def rows_changed(self) -> None:
        """Rows were added, removed or became others: measure again, keep the cursor on a row, draw."""
        self.measure()
        self.cursor = max(0, min(self.cursor, self.row_count - 1))
        self.refresh()

    def measure(self) -> None:
        """Take in how many rows there are; the screen is laid out again only where the pane grows with them."""
        size = Size(0, self.row_count)
        if size == self.virtual_size:
            return
        self.virtual_size = size
        self.vertical_scrollbar.window_virtual_size = size.height
        if self.styles.auto_dimensions:
            self.refresh(layout=True)
        if self.scroll_offset.y > self.max_scroll_y:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True)

    def refresh_row(self, row: int) -> None:
        """Draw one row again."""
        self.refresh_line(row)

    def move_cursor(self, row: int) -> None:
        """Put the cursor on a row and scroll it into view."""
        row = max(0, min(row, self.row_count - 1))
        before, self.cursor = self.cursor, row
        self.reveal(row)
        if row != before:
            self.refresh_row(before)
            self.refresh_row(row)
            self.post_message(self.Moved(self))

    def reveal(self, row: int) -> None:
        """Scroll as little as needed to show a row."""
        top, height = self.scroll_offset.y, self.scrollable_content_region.height
        if row < top:
            self.scroll_to(y=row, animate=False, force=True)
        elif height and row >= top + height:
            self.scroll_to(y=row - height + 1, animate=False, force=True)

    def action_move(self, rows: int) -> None:
        """Up or down by some rows."""
        self.move_cursor(self.cursor + rows)

    def action_move_page(self, pages: int) -> None:
        """Up or down by what the pane shows."""
        self.move_cursor(self.cursor + pages * max(1, self.scrollable_content_region.height - 1))

    def action_move_to_first(self) -> None:
        """To the first row."""
        self.move_cursor(0)

    def action_move_to_last(self) -> None:
        """To the last row."""
        self.move_cursor(self.row_count - 1)

    def action_choose(self) -> None:
        """What Enter means is up to the screen."""
        self.post_message(self.Chosen(self))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw some visible lines."""
        # Both cost about as much as drawing a line, and are the same for all of them.
        self._width, self._beneath = self.scrollable_content_region.width, self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Draw one visible line."""
        width = self._width
        if not self.row_count:
            return strip(self.draw_empty(y, width), width, self._beneath)
        row = y + self.scroll_offset.y
        if row >= self.row_count:
            return Strip.blank(width, self._beneath)
        beneath = self._beneath
        if row == self.cursor and self.marks_cursor():
            beneath += self._cursor_style()
        return strip(self.draw_row(row, width), width, beneath)

    def _cursor_style(self) -> Style:
        if self.app.no_color or self.app.console.color_system in (None, "standard"):
            return SELECTED_PLAIN if self.has_focus else Style(bold=True)
        return SELECTED if self.has_focus else SELECTED_BLURRED

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self.measure()
        self.reveal(self.cursor)

    def on_focus(self) -> None:
        """The cursor looks different now."""
        self.refresh_row(self.cursor)

    def on_blur(self) -> None:
        """The cursor looks different now."""
        self.refresh_row(self.cursor)

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; a second one on the same row chooses it."""
        row = event.y + self.scroll_offset.y
        if not 0 <= row < self.row_count:
            return
        if event.chain > 1:
            self.action_choose()
        else:
            self.move_cursor(row)
