"""The inspector: one event with all its registers and call stacks, and from there to its neighbours."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from explorer.session.events import Event
from explorer.session.latencies import duration
from explorer.session.session import Session
from explorer.widgets import event_line
from explorer.widgets.cells import count
from explorer.widgets.heading import Heading
from explorer.widgets.key_bar import KeyBar
from explorer.widgets.palette import BRIGHT, MUTED, TEXT
from explorer.widgets.register_table import RegisterTable
from explorer.widgets.stack_view import StackView


class InspectorScreen(Screen[int]):
    """Ends with the number of the event that was looked at last.

    Args:
        session: Whose journal it is.
        number: The event's number there.
    """

    HELP: ClassVar[str] = "inspector"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (27, "-tall")]  # noqa: RUF012 - declared so by Textual
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,right", "step(1)", "Next", key_display="n", id="inspector.next", tooltip="The next event"),
        Binding("p,left", "step(-1)", "Previous", key_display="p", id="inspector.previous",
                tooltip="The previous event"),
        Binding("N", "step_same(1)", "Next of probe", show=False, id="inspector.next-same",
                tooltip="The next event of the same probe"),
        Binding("P", "step_same(-1)", "Previous of probe", show=False, id="inspector.previous-same",
                tooltip="The previous event of the same probe"),
        Binding("s,tab,shift+tab", "switch", "Stacks", key_display="s", id="inspector.stacks",
                tooltip="From the registers to the event's call stacks and back; in a small terminal one has the room"),
        Binding("escape,enter", "leave", "Back", id="inspector.back", tooltip="Back to the events"),
    ]  # fmt: skip

    def __init__(self, session: Session, number: int) -> None:
        super().__init__()
        self._session = session
        self.number = number
        self._shown: Event | None = None

    def compose(self) -> ComposeResult:
        """Heading, registers, stacks, keys."""
        yield Heading(id="event")
        yield RegisterTable(id="registers")
        yield StackView(id="stacks")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Show the event."""
        self._registers, self._stacks = self.query_one(RegisterTable), self.query_one(StackView)
        self._stacks.border_title = "call stacks"
        self._registers.focus()
        self._draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The key for the stacks is there where the event has some."""
        return action != "switch" or (self._shown is not None and self._shown.stacks is not None)

    def action_switch(self) -> None:
        """Look at the stacks, or at the registers again."""
        self._look_at_stacks(self.focused is not self._stacks)

    def _look_at_stacks(self, chosen: bool) -> None:
        self.set_class(chosen, "-at-stacks")
        (self._stacks if chosen else self._registers).focus()

    def action_step(self, events: int) -> None:
        """To a neighbouring event, as far as the journal keeps them."""
        journal = self._session.journal
        number = min(max(self.number + events, journal.first_number), journal.last_number)
        if number != self.number:
            self.number = number
            self._draw()

    def action_step_same(self, direction: int) -> None:
        """To the next event of the same probe in a direction."""
        journal = self._session.journal
        if self.number < journal.first_number:
            return
        spec = journal[self.number].probe.spec
        number = self.number + direction
        while journal.first_number <= number <= journal.last_number:
            if journal[number].probe.spec == spec:
                self.number = number
                self._draw()
                return
            number += direction

    def action_leave(self) -> None:
        """Back, with the cursor on this event."""
        self.dismiss(self.number if self.number >= self._session.journal.first_number else None)

    def action_copy(self) -> None:
        """Copy the registers, or the stacks while they have the focus, as text."""
        at_stacks = self.focused is self._stacks
        self.app.copy_to_clipboard(self._stacks.plain() if at_stacks else self._registers.plain())
        words = "the call stacks as text" if at_stacks else "the registers as text"
        self.notify(words, title="copied", markup=False, timeout=3)

    def _heading(self, event: Event) -> list[list[Segment]]:
        """Which event is inspected, and its values."""
        probe, journal = event.probe, self._session.journal
        position = f"event {count(event.number)} of {count(journal.last_number)}"
        when = f"{event.time / 1e9:.6f} s  cpu {event.cpu}  {event_line.process(event)}"
        context = f"  in {event.context} context" if event.context != "task" else ""
        if event.call is not None:
            took = event.call.cause if event.call.latency is None else f"took {duration(event.call.latency)}"
            context += f"  {took}  registers: at its entry"
        return [
            [Segment(f" {probe.spec}", BRIGHT), Segment(f"  {position}", MUTED), Segment(f"  {when}{context}", TEXT)],
            list(event_line.draw_values(self._session.describe(event))),
        ]

    def _draw(self) -> None:
        self._shown = event = self._session.journal[self.number]
        self.query_one(Heading).say(*self._heading(event))
        self._registers.show(self._session, event)
        self.set_class(event.stacks is not None, "-has-stacks")
        if event.stacks is not None:
            self._stacks.show(self._session, event)
        elif self.focused is self._stacks:
            self._look_at_stacks(False)
        self.refresh_bindings()
