"""A few lines of text over, under or between panes; what does not fit is cut."""

from __future__ import annotations

from collections.abc import Iterable

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from explorer.widgets.cells import strip


class Heading(Widget):
    """As many lines as it is high."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._lines: list[Iterable[Segment]] = []

    def say(self, *lines: Iterable[Segment]) -> None:
        """Show other lines."""
        self._lines = [list(line) for line in lines]
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line."""
        return strip(self._lines[y] if y < len(self._lines) else (), self.size.width, self.rich_style)
