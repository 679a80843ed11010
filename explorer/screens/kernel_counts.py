"""What a probe's hits come to, counted in the kernel: by a key, with the sizes of a number. No hit makes an event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen

from explorer.screens.probe_requests import ProbeRequests
from explorer.session.aggregates import LATENCY, Wanted, choices
from explorer.session.probe import Probe, ProbeState
from explorer.session.probe_spec import ProbeSpec
from explorer.session.session import Session
from explorer.widgets.cells import count
from explorer.widgets.count_table import CountTable, name_of
from explorer.widgets.heading import Heading
from explorer.widgets.key_bar import KeyBar
from explorer.widgets.palette import BRIGHT, MUTED, TEXT, WARNING
from explorer.widgets.text_view import TextView

_REFRESH = 0.5
"""Seconds; the figures come once a second."""


class KernelCountsScreen(Screen[None]):
    """The probe goes on counting when this is left.

    Args:
        session: Whose probe it is.
        spec: The probe, which counts in the kernel.
    """

    HELP: ClassVar[str] = "counted in the kernel"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "next_key", "By", id="kernel-counts.by",
                tooltip="Count by the next key: comm, pid, tid, cpu, each number of the probe, nothing"),
        Binding("o", "next_size", "Of", id="kernel-counts.of",
                tooltip="Measure the next number of the probe, or none; of whole calls, how long they take"),
        Binding("r", "record", "Record again", id="kernel-counts.record", tooltip="Record the hits as events again"),
        Binding("escape,h", "dismiss(None)", "Back", key_display="Esc", id="kernel-counts.back",
                tooltip="Back to the probes; it goes on counting"),
    ]  # fmt: skip

    def __init__(self, session: Session, spec: ProbeSpec) -> None:
        super().__init__()
        self._session, self._spec = session, spec
        self._requests = ProbeRequests(self)

    def compose(self) -> ComposeResult:
        """Heading, keys, the sizes of one of them, and what can be typed."""
        yield Heading(id="counts-heading")
        yield CountTable(id="counts")
        yield TextView(id="sizes")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Show what there is, and go on."""
        self._heading, self._table = self.query_one(Heading), self.query_one(CountTable)
        self._sizes = self.query_one(TextView)
        self._table.focus()
        self.set_interval(_REFRESH, self._draw)
        self._draw()

    def action_next_key(self) -> None:
        """Count by the next key."""
        self._count_otherwise(by=1)

    def action_next_size(self) -> None:
        """Measure the next number."""
        self._count_otherwise(of=1)

    def action_record(self) -> None:
        """Record events again, and leave."""
        probe = self._probe
        if probe is not None:
            self._requests.make(self._record(probe))

    async def _record(self, probe: Probe) -> None:
        await self._requests.count(self._session, probe, None)
        if self.is_current and (self._probe is None or self._probe.aggregate is None):
            self.dismiss(None)

    def action_copy(self) -> None:
        """Copy the table as text."""
        self.app.copy_to_clipboard(self._table.plain(self._wanted.by))
        self.notify("the table as text", title="copied", markup=False, timeout=3)

    @property
    def _probe(self) -> Probe | None:
        return self._session.probes.get(self._spec)

    @property
    def _wanted(self) -> Wanted:
        probe = self._probe
        return probe.aggregate.wanted if probe is not None and probe.aggregate is not None else Wanted()

    def _count_otherwise(self, *, by: int = 0, of: int = 0) -> None:
        probe = self._probe
        if probe is None or probe.aggregate is None or probe.state is not ProbeState.ARMED:
            return
        keys, sizes = choices(probe)
        wanted = Wanted(_further(keys, self._wanted.by, by), _further(sizes, self._wanted.of, of))
        if wanted != self._wanted:
            self._requests.make(self._requests.count(self._session, probe, wanted))

    @on(CountTable.Moved)
    def _moved(self) -> None:
        self._draw_sizes()

    def _draw(self) -> None:
        probe, wanted = self._probe, self._wanted
        rows = probe.aggregate.rows() if probe is not None and probe.aggregate is not None else []
        self._table.show(rows, is_time=wanted.of == LATENCY)
        measured = f", {_what(wanted.of)}" if wanted.of else ""
        by = f"by {wanted.by}" if wanted.by else "all together"
        self._heading.say(
            [Segment(f" {self._spec}", BRIGHT), Segment(f"  counted in the kernel {by}{measured}", TEXT)],
            _figures(probe, len(rows)),
            self._table.titles(wanted.by),
        )
        self._sizes.display = bool(wanted.of)
        self._draw_sizes()

    def _draw_sizes(self) -> None:
        row = self._table.selected
        unread = f" · {count(row.unread)} could not be read" if row is not None and row.unread else ""
        title = f"{_what(self._wanted.of)} of {name_of(row)}{unread}" if row is not None else ""
        self._sizes.border_title = Content(title)  # no markup: names may hold brackets
        self._sizes.show_lines(self._table.sizes(self._sizes.scrollable_content_region.width))


async def look(requests: ProbeRequests, session: Session, spec: ProbeSpec) -> None:
    """Have the hits of an armed probe counted in the kernel, unless they are already, and look at that."""
    probe = session.probes.get(spec)
    if probe is None or probe.state is not ProbeState.ARMED:
        return
    if probe.aggregate is None:
        await requests.count(session, probe, Wanted("comm", choices(probe)[1][0]))
    now = session.probes.get(spec)
    if now is not None and now.aggregate is not None:
        requests.screen.app.push_screen(KernelCountsScreen(session, spec))


def _further(choices: Sequence[str], chosen: str, steps: int) -> str:
    return choices[(choices.index(chosen) + steps) % len(choices)] if chosen in choices else choices[0]


def _what(of: str) -> str:
    return "how long calls took" if of == LATENCY else f"sizes of {of}"


def _figures(probe: Probe | None, keys: int) -> list[Segment]:
    """What the probe has counted, and what it did not see."""
    if probe is None or probe.aggregate is None:
        return [Segment(" it is not counting any more", WARNING)]
    counters, unpaired = probe.parts[-1].counters, probe.aggregate.unpaired
    words = f" {count(keys)} keys, {count(counters.hits)} hits, {count(counters.filtered)} filtered, "
    words += f"{count(counters.lost)} lost, "
    words += f"{count(counters.missed)} missed" if probe.all_missed_is_known else "what was missed is not known"
    words += f", {count(unpaired)} returns without an entry" if unpaired else ""
    held_back = f"  {probe.guard.text}" if probe.guard is not None and probe.guard.holds_back else ""
    return [Segment(words, MUTED), Segment(held_back, WARNING)]
