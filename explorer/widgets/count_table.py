"""The keys that a probe's hits were counted by in the kernel, and the sizes of what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType

from explorer.session.aggregates import Row
from explorer.session.latencies import duration
from explorer.session.values import printable
from explorer.widgets.call_lines import bar
from explorer.widgets.cells import count, fit, fit_right
from explorer.widgets.line_view import LineView
from explorer.widgets.palette import BRIGHT, FAINT, LOCATION, MUTED, TEXT, WARNING

_KEY, _NUMBER = 18, 11
_MEASURES = ("mean", "p50", "p95", "p99")
_BAR_BESIDE = 30
"""Columns that a bar takes at most beside the measures."""


class CountTable(LineView):
    """A row is a key, the most hits first; the cursor stays with its key."""

    HELP: ClassVar[str] = "counted in the kernel"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "screen.copy", "Copy", show=False, id="counts.copy", tooltip="Copy the table as text"),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._rows: Sequence[Row] = ()
        self._is_time = self._measured = False

    def show(self, rows: Sequence[Row], *, is_time: bool) -> None:
        """Show other figures.

        Args:
            rows: Of all keys.
            is_time: Whether nanoseconds were measured.
        """
        kept = self.selected.key if self.selected is not None and self.cursor else None
        self._rows, self._is_time = rows, is_time
        self._measured = any(row.steps or row.unread for row in rows)
        if kept is not None:
            self.cursor = next((place for place, row in enumerate(rows) if row.key == kept), self.cursor)
        self.rows_changed()

    @property
    def row_count(self) -> int:
        """Keys."""
        return len(self._rows)

    @property
    def selected(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self.cursor] if self.cursor < len(self._rows) else None

    def titles(self, by: str) -> list[Segment]:
        """What stands over the columns."""
        measures = "".join(fit_right(name, _NUMBER) for name in _MEASURES) if self._measured else ""
        return [Segment(f" {fit(by or 'all', _KEY)}{fit_right('hits', _NUMBER)}{measures}", MUTED)]

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """A key, its hits, and how large what was measured is, or its share of all hits."""
        shown = self._rows[row]
        yield Segment(f"{fit(name_of(shown), _KEY)}{fit_right(count(shown.count), _NUMBER)}", BRIGHT)
        left = width - _KEY - _NUMBER - 1
        if self._measured:
            numbers = (shown.mean, *(shown.percentile(share) for share in (0.5, 0.95, 0.99)))
            for number in numbers:
                yield Segment(fit_right(self._text(number), _NUMBER), TEXT)
            left = min(left - _NUMBER * len(numbers), _BAR_BESIDE)
        yield Segment("!" if shown.unread else " ", WARNING)
        yield Segment(bar(shown.count, self._rows[0].count, max(left, 1)), LOCATION)

    def draw_empty(self, line: int, width: int) -> Iterable[Segment]:
        """Nothing was counted yet."""
        return (
            [Segment("Nothing was counted yet; the kernel's counts are read once a second.", FAINT)] if not line else ()
        )

    def sizes(self, width: int) -> list[list[Segment]]:
        """The sizes of the row under the cursor: a line for each power of two, from where, how many, a bar."""
        row = self.selected
        buckets = row.histogram() if row is not None else []
        most = max((number for _, _, number in buckets), default=0)
        return [
            [
                Segment("≥ ", FAINT),
                Segment(fit_right(self._text(least), _NUMBER), MUTED),
                Segment(fit_right(count(number), _NUMBER) + " ", TEXT if number else FAINT),
                Segment(bar(number, most, max(width - 2 * _NUMBER - 3, 1)), LOCATION),
            ]
            for least, _, number in buckets
        ]

    def plain(self, by: str) -> str:
        """All of it as text."""
        lines = [self.titles(by), *(list(self.draw_row(row, 80)) for row in range(self.row_count))]
        return "\n".join("".join(segment.text for segment in line).rstrip() for line in lines)

    def _text(self, number: float | None) -> str:
        if number is None:
            return "?"
        return duration(round(number)) if self._is_time else count(round(number))


def name_of(row: Row) -> str:
    """A key as it is shown."""
    return "all" if row.key is None else printable(str(row.key))
