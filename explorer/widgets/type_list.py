"""The list of types: the best matches of a query, or those that a prototype speaks of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType

from explorer.widgets.card_lines import paragraph
from explorer.widgets.cells import fit, short_count
from explorer.widgets.line_view import LineView
from explorer.widgets.palette import FAINT, MATCH, MUTED, NAME, TEXT
from symbols.search import highlight
from symbols.type_index import NamedType, TypeIndex


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """A row.

    Attributes:
        named: The type.
        path: What a member's path begins with.
        joint: What stands between that and a member.
        called: The parameter that it is the type of; "" for a match of a query.
    """

    named: NamedType
    path: str
    joint: str
    called: str = ""


class TypeList(LineView):
    """Types, one a row."""

    HELP: ClassVar[str] = "types"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,right,l", "choose", "Members", key_display="Enter", id="types.members",
                tooltip="Go to the members of the type"),
    ]  # fmt: skip

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._index: TypeIndex | None = None
        self._rows: Sequence[int] = ()
        self._offered: Sequence[Listed] = ()
        self._query = ""
        self._empty = ""

    def show_found(self, index: TypeIndex, rows: Sequence[int], query: str) -> None:
        """Show the matches of a query."""
        self._index, self._rows, self._offered, self._query = index, rows, (), query
        self._renew(f"nothing like {query!r}")

    def show_offered(self, offered: Sequence[Listed], empty: str) -> None:
        """Show types that were picked otherwise, or why there are none."""
        self._index, self._rows, self._offered, self._query = None, (), offered, ""
        self._renew(empty)

    def _renew(self, empty: str) -> None:
        self._empty = empty
        self.cursor = 0
        self.scroll_to(y=0, animate=False, force=True)
        self.rows_changed()
        self.post_message(self.Moved(self))

    @property
    def row_count(self) -> int:
        """How many types are listed."""
        return len(self._rows) or len(self._offered)

    @property
    def selected(self) -> Listed | None:
        """The type under the cursor."""
        return self._listed(self.cursor) if self.row_count else None

    def _listed(self, row: int) -> Listed:
        if self._index is None:
            return self._offered[row]
        named = self._index.entry(self._rows[row])
        return Listed(named, named.record.name, "->")

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """The parameter, the type with its matched letters, its size and module."""
        listed = self._listed(row)
        named = listed.named
        *keywords, name = named.text.split()
        keyword = keywords[0] if keywords else "typedef"
        tail = " ".join(
            filter(None, [named.module, "" if named.record.size is None else short_count(named.record.size)])
        )
        head = [Segment(f" {listed.called} ", NAME)] if listed.called else [Segment(" ", FAINT)]
        head.append(Segment(fit(keyword, 8 if keyword == "typedef" else 7), FAINT))
        room = width - sum(cell_len(segment.text) for segment in head) - len(tail) - 2
        yield from head
        yield from _highlighted(fit(name, room), set(highlight(self._query, name)) if self._query else set())
        yield Segment(f" {tail} ", MUTED)

    def draw_empty(self, line: int, width: int) -> Iterable[Segment]:
        """Why no type is listed."""
        lines = paragraph(self._empty, MUTED, width)
        yield from lines[line] if line < len(lines) else ()


def _highlighted(name: str, positions: set[int]) -> Iterable[Segment]:
    for position, letter in enumerate(name):
        yield Segment(letter, MATCH if position in positions else TEXT)
