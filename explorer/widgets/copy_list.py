"""The list of the places where one function was inlined, and whether a probe is armed at each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType

from explorer.session.debuginfo import Copy
from explorer.session.probe import ProbeState
from explorer.session.session import Session
from explorer.widgets.cells import fit
from explorer.widgets.line_view import LineView
from explorer.widgets.palette import BRIGHT, ENTRY, ENTRY_MARK, ERROR, FAINT, MUTED
from symbols.dwarf.debug_info import InlinedCopy


class CopyList(LineView):
    """One row a copy: a mark, the place, and the line of the sources that calls the function."""

    HELP: ClassVar[str] = "inlined copies"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "screen.toggle_copy", "Probe", key_display="Space", id="copies.probe",
                tooltip="Arm or disarm a probe at this copy"),
        Binding("y", "screen.copy", "Copy", id="copies.copy", tooltip="Copy the place as a probe's name"),
    ]  # fmt: skip

    def __init__(self, session: Session, copies: Sequence[Copy], *, id: str) -> None:
        super().__init__(id=id)
        self._session = session
        self._copies = copies
        self._described: list[InlinedCopy] = []

    def describe(self, more: Sequence[InlinedCopy]) -> None:
        """Take in what was read of the next copies."""
        self._described += more
        self.refresh()

    @property
    def row_count(self) -> int:
        """Copies."""
        return len(self._copies)

    @property
    def selected(self) -> Copy | None:
        """The copy under the cursor."""
        return self._copies[self.cursor] if self._copies else None

    @property
    def description(self) -> InlinedCopy | None:
        """What is known of it; None as long as it has not been read."""
        return self._described[self.cursor] if self.cursor < len(self._described) else None

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """A copy."""
        copy = self._copies[row]
        probe = self._session.probes.get(copy.spec) if copy.spec else None
        if copy.spec is None:
            yield Segment("✗ ", FAINT)
        elif probe is None:
            yield Segment("  ")
        elif probe.state is ProbeState.FAILED:
            yield Segment("! ", ERROR)
        else:
            yield Segment(f"{ENTRY_MARK if probe.state is ProbeState.ARMED else '…'} ", ENTRY)
        room = max(width * 3 // 5, 20)
        yield Segment(fit(copy.place, room - 2), FAINT if copy.spec is None else BRIGHT)
        called = self._described[row].called if row < len(self._described) else None
        yield Segment(f" {called}" if called else "", MUTED)

    def draw_empty(self, line: int, width: int) -> Iterable[Segment]:
        """It was inlined nowhere."""
        if line == 0:
            yield Segment("no inlined copy is known", MUTED)
