"""The list of functions: all of them, or the best matches of the query, with marks for what is known and armed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message

from explorer.session.group_plan import CEILING
from explorer.session.loading import Stage
from explorer.session.probe import Probe, ProbeState
from explorer.session.probe_spec import ProbeKind
from explorer.session.session import Session
from explorer.widgets.cells import fit
from explorer.widgets.function_keys import function_keys
from explorer.widgets.line_view import LineView
from explorer.widgets.palette import (
    BOTH_MARK,
    BRIGHT,
    ENTRY,
    ENTRY_MARK,
    ERROR,
    FAINT,
    MATCH,
    MUTED,
    RETURN,
    RETURN_MARK,
    TEXT,
    WARNING,
)
from symbols.symbol import Symbol
from symbols.verdict import Mechanism, Verdict, VerdictKind

_MODULE_WIDTH = 12


class FunctionList(LineView):
    """Rows of a session's catalog."""

    HELP: ClassVar[str] = "functions"
    BINDINGS: ClassVar[list[BindingType]] = [
        *function_keys("functions", shown=False),
        Binding("m", "mark", "Mark", show=False, id="functions.mark",
                tooltip="Mark the function for a group, or unmark it; marks stay while you search on"),
        Binding("M", "mark_all", "Mark all", show=False, id="functions.mark-all",
                tooltip="Mark all that are listed, or unmark everything where they are marked"),
        Binding("A", "screen.arm_group", "Group", show=False, id="functions.group",
                tooltip="Arm the marked functions as a group, or all that match; what that means is told first"),
        Binding("enter", "choose", "Card", id="functions.card", tooltip="Go to the function's card"),
    ]  # fmt: skip

    class MarksChanged(Message):
        """Functions were marked or unmarked."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._marked: dict[int, Symbol] = {}
        self._session: Session | None = None
        self._rows: Sequence[int] = ()
        self._highlight: Callable[[str], Sequence[int]] = lambda name: ()
        self._empty = ""

    def show(
        self, session: Session, rows: Sequence[int], highlight: Callable[[str], Sequence[int]], empty: str = ""
    ) -> None:
        """Show other rows, the first under the cursor.

        Args:
            session: Whose catalog and probes they are of.
            rows: Positions in ``Catalog.rows``.
            highlight: The positions of the letters of a name that matched.
            empty: What to say where there are no rows.
        """
        if session is not self._session and self._marked:
            self._marked.clear()
            self.post_message(self.MarksChanged())
        self._session, self._rows, self._highlight, self._empty = session, rows, highlight, empty
        self.cursor = 0
        self.scroll_to(y=0, animate=False, force=True)
        self.rows_changed()
        self.post_message(self.Moved(self))

    @property
    def row_count(self) -> int:
        """How many functions are listed."""
        return len(self._rows)

    @property
    def selected(self) -> Symbol | None:
        """The function under the cursor."""
        return self._symbol(self.cursor) if self._rows else None

    @property
    def marked(self) -> list[Symbol]:
        """The functions that are marked, listed or not, in the order of marking."""
        return list(self._marked.values())

    def action_mark(self) -> None:
        """Mark the function under the cursor or unmark it, and go on to the next."""
        symbol = self.selected
        if symbol is None:
            return
        if self._marked.pop(symbol.index, None) is None:
            self._marked[symbol.index] = symbol
        self.refresh_row(self.cursor)
        self.move_cursor(self.cursor + 1)
        self.post_message(self.MarksChanged())

    def action_mark_all(self) -> None:
        """Mark all that are listed; where they are, unmark everything."""
        if self.row_count > CEILING:
            self.notify(f"more than {CEILING:,} are not armed together", title="too many to mark", severity="warning")
            return
        listed = [self._symbol(row) for row in range(self.row_count)]
        if all(symbol.index in self._marked for symbol in listed):
            self._marked.clear()
        else:
            self._marked |= {symbol.index: symbol for symbol in listed}
        self.refresh()
        self.post_message(self.MarksChanged())

    def select(self, symbol: Symbol) -> None:
        """Put the cursor on a function, if it is listed."""
        catalog = self._session.catalog if self._session else None
        if catalog is None:
            return
        for row, position in enumerate(self._rows):
            if catalog.rows[position] == symbol.index:
                self.move_cursor(row)
                return

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """Probe mark, verdict mark, the user's mark, name with its matched letters, module."""
        symbol = self._symbol(row)
        yield self._probe_mark(symbol)
        yield self._verdict_mark(symbol)
        branch = "└ " if self._follows_its_function(row, symbol) else ""
        if symbol.index in self._marked:
            yield Segment("✓ ", BRIGHT)
            width -= 2
        yield Segment(branch, FAINT)
        room = width - 3 - len(branch)
        module = fit(symbol.module, min(len(symbol.module), _MODULE_WIDTH)) if symbol.module else ""
        if module and room - len(module) - 1 < cell_len(symbol.name):
            module = ""  # the name matters more, the card tells the module
        name = fit(symbol.name, room - (len(module) + 1 if module else 0))
        yield from _highlighted(name, set(self._highlight(symbol.name)))
        if module:
            yield Segment(" " + module, FAINT)

    def draw_empty(self, line: int, width: int) -> Iterable[Segment]:
        """Why no function is listed."""
        if line == 0 and self._empty:
            yield Segment(f" {self._empty}", MUTED)

    def _symbol(self, row: int) -> Symbol:
        assert self._session is not None
        assert self._session.catalog is not None
        return self._session.catalog.symbol(self._session.catalog.rows[self._rows[row]])

    def _follows_its_function(self, row: int, symbol: Symbol) -> bool:
        """Whether it is a variant right behind the function, or another variant, that it belongs to."""
        if symbol.base_name == symbol.name or row == 0:
            return False
        above = self._symbol(row - 1)
        return above.base_name == symbol.base_name and above.module == symbol.module

    def _probe_mark(self, symbol: Symbol) -> Segment:
        """How its probes stand; where several share a name, and so a row, those of the first that has any."""
        session = self._session
        assert session is not None
        assert session.catalog is not None
        sharing = [symbol]
        if session.catalog.count(symbol) > 1:
            sharing += [other for other in session.catalog.find(symbol.name) if other.module == symbol.module]
        for other in sharing:
            mark = probe_mark(session.probes.get(session.probe_for(other, kind)) for kind in ProbeKind)
            if mark[0].strip():
                return Segment(*mark)
        return Segment(*probe_mark(()))

    def _verdict_mark(self, symbol: Symbol) -> Segment:
        session = self._session
        assert session is not None
        assert session.catalog is not None
        if Stage.LISTS not in session.loading.done:
            return Segment("  ", FAINT)
        if session.hello is not None and not session.hello.judges_functions:
            return Segment("  ", FAINT)  # true of all of them, and said elsewhere
        mark, style = verdict_mark(session.catalog.verdict(symbol))
        return Segment(mark + " ", style)


def probe_mark(of_function: Iterable[Probe | None]) -> tuple[str, Style]:
    """One cell that tells how the probes of a function stand."""
    probes = [probe for probe in of_function if probe is not None and probe.state is not ProbeState.DISARMED]
    if not probes:
        return " ", TEXT
    if any(probe.state is ProbeState.FAILED for probe in probes):
        return "!", ERROR
    if any(probe.state in (ProbeState.ARMING, ProbeState.DISARMING) for probe in probes):
        return "…", WARNING
    if len(probes) > 1 or probes[0].calls is not None:
        return BOTH_MARK, ENTRY
    return (ENTRY_MARK, ENTRY) if probes[0].spec.kind is ProbeKind.ENTRY else (RETURN_MARK, RETURN)


def verdict_mark(verdict: Verdict) -> tuple[str, Style]:
    """One cell for a verdict; the cheapest and most usual one is blank."""
    if verdict.kind is VerdictKind.PROBEABLE:
        return (" ", TEXT) if verdict.mechanism is Mechanism.FTRACE else ("·", MUTED)
    if verdict.kind is VerdictKind.DUPLICATE:
        return "=", WARNING
    if verdict.kind is VerdictKind.UNKNOWN:
        return "?", FAINT
    return ("✗", FAINT) if not verdict.can_arm else ("·", MUTED)


def _highlighted(name: str, positions: set[int]) -> Iterable[Segment]:
    start = 0
    for end in range(1, len(name) + 1):
        if end == len(name) or (end in positions) != (start in positions):
            yield Segment(name[start:end], MATCH if start in positions else TEXT)
            start = end
