"""The list of probes: what each counts, what it missed and what was not shown; why one was refused; groups folded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType

from explorer.session.probe import Probe, ProbeState
from explorer.session.probe_spec import ProbeKind
from explorer.session.session import Session
from explorer.session.values import printable
from explorer.widgets import guard_words, mechanism_words
from explorer.widgets.cells import count, fit, fit_right, short_count
from explorer.widgets.event_line import place_name
from explorer.widgets.group_segments import group_segments, loss_segments
from explorer.widgets.line_view import LineView
from explorer.widgets.palette import (
    BOTH_MARK,
    BRIGHT,
    ENTRY,
    ENTRY_MARK,
    ERROR,
    FAINT,
    MUTED,
    RETURN,
    RETURN_MARK,
    TEXT,
    WARNING,
)
from explorer.widgets.probe_rows import GroupRow, Row, rows

_WIDE = (("hits", 12), ("/s", 7), ("missed", 9), ("lost", 9), ("filtered", 11), ("not shown", 12))
_NARROW = (("hits", 6), ("/s", 6), ("miss", 6), ("lost", 6), ("filtered", 9), ("unshown", 8))
_BREAK = 90
"""Columns from which counts are written in full."""


class ProbeList(LineView):
    """The probes of a session, oldest first; one line high it is a summary."""

    HELP: ClassVar[str] = "probes"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d,delete", "screen.disarm", "Disarm", id="probes.disarm",
                tooltip="Disarm the probe, or the whole group; of a group that is being armed: give it up"),
        Binding("D", "screen.disarm_all", "Disarm all", id="probes.disarm-all", tooltip="Disarm every probe"),
        Binding("f", "screen.change_probe('filter')", "Filter", id="probes.filter",
                tooltip="Write what a hit must satisfy to be recorded; the probe goes on counting"),
        Binding("b", "screen.budget", "Budget", show=False, id="probes.budget",
                tooltip="Write what the probes may cost before the guard holds them back"),
        Binding("e", "screen.change_probe('engine')", "Engine", id="probes.engine",
                tooltip="Arm the probe anew with the next engine: auto (the agent chooses), bpf, tracefs"),
        Binding("s", "screen.change_probe('stacks')", "Stacks", id="probes.stacks",
                tooltip="Arm the probe anew with the kernel's call stack in each event, with the process's too, "
                "without: Enter on an event shows them; only bpf records them"),
        Binding("h", "screen.count_probe", "Count", id="probes.count",
                tooltip="Count its hits in the kernel, by a key and by sizes, in place of recording them; needs bpf"),
        Binding("m", "screen.change_probe('follow_more')", "More returns", show=False, id="probes.follow-more",
                tooltip="Arm the return anew so that more calls can be followed at once: where returns were missed"),
        Binding("enter", "choose", "Card", id="probes.card",
                tooltip="The function's card, or why it was refused; a group is unfolded or folded"),
        Binding("y", "screen.copy", "Copy", show=False, id="probes.copy", tooltip="Copy the probe's name"),
    ]  # fmt: skip

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._session: Session | None = None
        self._probes: list[Probe] = []
        self._rows: list[Row] = []
        self._unfolded: set[str] = set()

    def show(self, session: Session) -> None:
        """Show the probes of another session."""
        self._session = session
        self.renew()

    def renew(self) -> None:
        """Take in what changed: new probes, states, counters."""
        if self._session is None:
            return
        before = len(self._rows)
        self._probes = list(self._session.probes.values())
        self._rows = rows(self._probes, self._session.arming.works, self._unfolded)
        if len(self._rows) == before:
            self.refresh_lines(0, before + 1)
        else:
            self.rows_changed()

    def action_choose(self) -> None:
        """Fold or unfold a group; what Enter means on a probe is up to the screen."""
        group = self.selected_group
        if group is None:
            super().action_choose()
            return
        self._unfolded ^= {group.name}
        self.renew()

    @property
    def collapsed(self) -> bool:
        """Whether there is room for a summary only."""
        return self.size.height <= 1

    @property
    def row_count(self) -> int:
        """The column heads and the probes; none without probes."""
        if self.collapsed or not self._probes:
            return 0
        return len(self._rows) + 1

    @property
    def selected(self) -> Probe | None:
        """The probe under the cursor."""
        row = self._row_under_cursor
        return (row.part_of or row) if isinstance(row, Probe) else None

    @property
    def selected_group(self) -> GroupRow | None:
        """The group under the cursor."""
        row = self._row_under_cursor
        return row if isinstance(row, GroupRow) else None

    @property
    def _row_under_cursor(self) -> Row | None:
        return self._rows[self.cursor - 1] if 0 < self.cursor <= len(self._rows) else None

    def marks_cursor(self) -> bool:
        """The column heads are no probe."""
        return self.cursor > 0

    def move_cursor(self, row: int) -> None:
        """Never onto the column heads."""
        super().move_cursor(max(1, row))
        if self.cursor == 1:
            self.reveal(0)

    def rows_changed(self) -> None:
        """Keep the cursor on a probe."""
        super().rows_changed()
        if self.cursor == 0 and self._probes:
            self.cursor = 1

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """The column heads, a probe, or a group."""
        columns = _WIDE if width >= _BREAK else _NARROW
        room = width - sum(cells for _, cells in columns)
        if row == 0:
            yield Segment(fit("  probe", room), FAINT)
            yield from (Segment(fit_right(head, cells), FAINT) for head, cells in columns)
            return
        probe = self._rows[row - 1]
        if isinstance(probe, GroupRow):
            yield from group_segments(probe, room, columns is _WIDE, [cells for _, cells in columns])
            return
        if probe.group or (probe.part_of is not None and probe.part_of.group):
            yield Segment("  ")
            room -= 2
        returned = probe.spec.kind is ProbeKind.RETURN
        if probe.part_of is not None:
            yield Segment("└")
            room -= 1
        mark = BOTH_MARK if probe.calls is not None else RETURN_MARK if returned else ENTRY_MARK
        yield Segment(f"{mark} ", RETURN if returned else ENTRY)
        if probe.state is not ProbeState.ARMED:
            yield from _state(probe)
            return
        write = count if columns is _WIDE else short_count
        hits, rate, *losses = (cells for _, cells in columns)
        counted = probe.parts[0]  # of a call, its entry: its returns have the row below
        name = place_name(probe) if probe.part_of is None else "returns"
        condition = f" {printable(counted.filter.text)}" if counted.filter is not None else ""
        alarm = (probe.part_of or probe).alarm if returned else None
        remark = f" ! {alarm.what}" if alarm is not None else guard_words.remark(counted)
        yield Segment(fit(name, min(room - 2, cell_len(name))), BRIGHT)
        words, left = remark or condition, max(0, room - 2 - cell_len(name))
        become = mechanism_words.short(counted, left - cell_len(words) - 1)
        before = cell_len(words) if become else left
        yield Segment(fit(words, before), WARNING if remark else MUTED)
        yield Segment(fit(f" {become}", left - before), FAINT)
        yield Segment(fit_right(write(counted.counters.hits), hits), TEXT)
        yield Segment(fit_right(guard_words.rate(counted), rate), WARNING if remark else TEXT)
        yield from loss_segments(counted.counters, losses, write)

    def draw_empty(self, line: int, width: int) -> Iterable[Segment]:
        """The summary, or that there are no probes."""
        if line:
            return
        if not self._probes:
            yield Segment("no probe is armed", MUTED)
            return
        yield from self.summary()

    def summary(self) -> Iterable[Segment]:
        """All probes in one line."""
        armed = [probe for probe in self._probes if probe.state is ProbeState.ARMED]
        refused = sum(probe.state is ProbeState.FAILED for probe in self._probes)
        hits = sum(probe.counters.hits for probe in armed)
        missed = sum(probe.counters.missed for probe in armed)
        yield Segment(f"4 probes: {len(armed)} armed", ENTRY if armed else MUTED)
        if refused:
            yield Segment(f", {refused} refused", ERROR)
        works = self._session.arming.works.values() if self._session is not None else ()
        for progress in [work.progress for work in works if work.progress is not None]:
            yield Segment(f" · {progress.sentence}", WARNING)
        yield Segment(f" · {short_count(hits)} hits", TEXT)
        if missed:
            yield Segment(f" · {short_count(missed)} missed", WARNING)
        yield Segment(f" · {short_count(sum(probe.rate for probe in armed))}/s", TEXT)
        if alarms := sum(probe.alarm is not None for probe in armed):
            yield Segment(f" · {alarms} ALARM", ERROR)
        if self._session is not None and (cost := guard_words.cost(armed, self._session.budget)):
            yield Segment(f" · {cost}", TEXT)
        if held_back := guard_words.held_back(armed):
            yield Segment(f" · {held_back}", WARNING)

    def on_resize(self) -> None:
        """The summary becomes the list, or the list the summary."""
        self.rows_changed()
        super().on_resize()


def _state(probe: Probe) -> Iterable[Segment]:
    yield Segment(place_name(probe), BRIGHT)
    if probe.state is ProbeState.FAILED and probe.error is not None:
        yield Segment(" refused: ", ERROR)
        yield Segment(probe.error.message, TEXT)
    else:
        gone = probe.state is ProbeState.DISARMED
        yield Segment(" not armed any more" if gone else f" {probe.state.value}…", MUTED)
