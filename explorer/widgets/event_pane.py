"""The pane of live events: follows the newest, pauses, scrolls back; says what it did not show."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message

from explorer.session.events import Event
from explorer.session.session import Session
from explorer.widgets import event_line
from explorer.widgets.card_lines import Lines
from explorer.widgets.cells import count
from explorer.widgets.line_view import LineView


class Flow(enum.Enum):
    """How the pane moves with new events."""

    FOLLOWING = "following"
    SCROLLED = "scrolled back"
    """New events are added below, the view stays where it is."""
    PAUSED = "paused"
    """Nothing is added; the newcomers are counted."""


class EventPane(LineView):
    """The newest events of a session's journal; a row is an event."""

    HELP: ClassVar[str] = "events"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Inspect", id="events.inspect", tooltip="All registers of the event"),
        Binding("p", "pause", "Pause", id="events.pause", tooltip="Freeze the pane; events go on being counted"),
        Binding("f", "follow", "Follow", id="events.follow", tooltip="Stay with the newest event"),
        Binding("c", "clear", "Clear", show=False, id="events.clear", tooltip="Forget the events so far"),
        Binding("y", "screen.copy", "Copy", show=False, id="events.copy", tooltip="Copy the event's line"),
    ]

    class FlowChanged(Message):
        """The pane follows, is scrolled back or is paused, or has another size: its title is another."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._session: Session | None = None
        self._first = 1
        self._last = 0
        self._began: int | None = None
        self._columns = event_line.Columns.for_width(0, ())
        self._explanation: Lines = []
        self.flow = Flow.FOLLOWING

    def show(self, session: Session) -> None:
        """Show the events of another session."""
        self._session = session
        self._first, self._last, self._began = 1, 0, None
        self.flow = Flow.FOLLOWING
        self.renew()

    def explain(self, lines: Lines) -> None:
        """What to say while there are no events: why there are none."""
        if lines != self._explanation:
            self._explanation = lines
            if not self.row_count:
                self.refresh()

    def renew(self) -> None:
        """Take in what the journal has got and forgotten; call it after a change, however many events it stands for."""
        if self._session is None:
            return
        journal = self._session.journal
        if self._began is None and len(journal):
            self._began = journal[journal.first_number].time
        forgotten = max(0, journal.first_number - self._first)
        self._first = max(self._first, journal.first_number)
        if self.flow is not Flow.PAUSED:
            self._last = journal.last_number
        self._last = max(self._last, self._first - 1)
        names = {event_line.place_name(probe) for probe in self._session.probes.values()}
        names |= {event_line.place_name(event.probe) for event in self._visible()}
        self._columns = event_line.Columns.for_width(self.scrollable_content_region.width, names)
        top = self.scroll_offset.y
        self.measure()
        if self.flow is Flow.FOLLOWING:
            self.cursor = max(0, self.row_count - 1)
            self.scroll_to(y=self.row_count, animate=False, force=True)
        elif forgotten:  # the rows above went: stay with the same event
            self.cursor = max(0, self.cursor - forgotten)
            self.scroll_to(y=max(0, top - forgotten), animate=False, force=True)
        self.refresh()

    @property
    def row_count(self) -> int:
        """How many events can be scrolled through."""
        return self._last - self._first + 1

    @property
    def held_back(self) -> int:
        """How many events arrived since the pane was paused."""
        if self._session is None or self.flow is not Flow.PAUSED:
            return 0
        return self._session.journal.last_number - self._last

    @property
    def selected(self) -> Event | None:
        """The event under the cursor."""
        if self._session is None or not self.row_count:
            return None
        return self._session.journal[self._first + self.cursor]

    def select(self, number: int) -> None:
        """Put the cursor on an event; the pane follows no more."""
        self._set_flow(Flow.SCROLLED if self.flow is Flow.FOLLOWING else self.flow)
        self.move_cursor(number - self._first)

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """The line of an event."""
        assert self._session is not None
        event = self._session.journal[self._first + row]
        return event_line.draw(event, self._session.describe(event), self._columns, self._began or 0)

    def draw_empty(self, line: int, width: int) -> Iterable[Segment]:
        """Why there are no events."""
        return self._explanation[line] if line < len(self._explanation) else ()

    def title(self) -> str:
        """The pane's name and flow."""
        if self.flow is Flow.PAUSED:
            return f"5 events · PAUSED +{count(self.held_back)} new"
        return f"5 events · {self.flow.value}" if self.row_count else "5 events"

    def action_pause(self) -> None:
        """Freeze, or go on with the newest."""
        self._set_flow(Flow.FOLLOWING if self.flow is Flow.PAUSED else Flow.PAUSED)

    def action_follow(self) -> None:
        """Stay with the newest event."""
        self._set_flow(Flow.FOLLOWING)

    def action_clear(self) -> None:
        """Forget the events so far."""
        if self._session is not None:
            self._session.journal.clear()
            self._began = None
            self._set_flow(Flow.FOLLOWING)

    def action_move(self, rows: int) -> None:
        """Moving up is scrolling back; moving down past the end is following again."""
        if rows > 0 and self.cursor + rows >= self.row_count and self.flow is Flow.SCROLLED:
            self._set_flow(Flow.FOLLOWING)
            return
        if rows < 0:
            self._stop_following()
        super().action_move(rows)

    def action_move_page(self, pages: int) -> None:
        """As ``action_move``."""
        self.action_move(pages * max(1, self.scrollable_content_region.height - 1))

    def action_move_to_first(self) -> None:
        """To the oldest event kept."""
        self._stop_following()
        super().action_move_to_first()

    def action_move_to_last(self) -> None:
        """To the newest event, and on with it unless the pane is paused."""
        if self.flow is Flow.SCROLLED:
            self._set_flow(Flow.FOLLOWING)
        super().action_move_to_last()

    def on_mouse_scroll_up(self) -> None:
        """The wheel scrolls back too."""
        self._stop_following()

    def on_resize(self) -> None:
        """Columns fit otherwise, and so do the title and the explanation."""
        super().on_resize()
        self.renew()
        self.post_message(self.FlowChanged())

    def _stop_following(self) -> None:
        if self.flow is Flow.FOLLOWING and self.row_count:
            self._set_flow(Flow.SCROLLED)

    def _set_flow(self, flow: Flow) -> None:
        if flow is not self.flow:
            self.flow = flow
            self.post_message(self.FlowChanged())
        self.renew()

    def _visible(self) -> list[Event]:
        if self._session is None:
            return []
        top = self._first + self.scroll_offset.y
        return self._session.journal.between(top, top + self.size.height)
