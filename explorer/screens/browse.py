"""The main screen: search, functions, card, probes and events of one session."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from explorer.screens.disassembly import DisassemblyScreen
from explorer.screens.inspector import InspectorScreen
from explorer.screens.probing import ProbingScreen
from explorer.screens.types import PREFIX, TypesScreen
from explorer.session.change import Change
from explorer.session.finding import Found, asks_for_armed
from explorer.session.live_search import LiveSearch
from explorer.session.probe_spec import ProbeSpec
from explorer.session.session import Session
from explorer.session.switchboard import Switchboard
from explorer.terminal import SMALLEST
from explorer.widgets import event_line, titles
from explorer.widgets.event_pane import EventPane
from explorer.widgets.explanations import no_events
from explorer.widgets.function_card import FunctionCard
from explorer.widgets.function_list import FunctionList
from explorer.widgets.key_bar import KeyBar
from explorer.widgets.line_view import LineView
from explorer.widgets.probe_list import ProbeList
from explorer.widgets.query_note import QueryNote
from explorer.widgets.search_box import SearchBox
from explorer.widgets.status_bar import StatusBar
from symbols.search import highlight
from symbols.symbol import Symbol

REFRESH = 0.1
"""Seconds between two drawings of a session's changes, however many there are."""
_TYPING, _REFRESH_TYPING = 0.5, 0.25
"""The same while a query is typed, which is so many seconds after each letter: drawing makes keys wait."""


class BrowseScreen(ProbingScreen):
    """Shows the session of a switchboard."""

    HELP: ClassVar[str] = "everywhere"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", show=False, id="browse.back",
                tooltip="Undo the zoom, clear the query, go back to the search box; never quits"),
        Binding("t", "app.targets", "Target", id="browse.target",
                tooltip="Look at another kernel: this machine's, through sudo, or the lab's"),
    ]  # fmt: skip

    def __init__(self, switchboard: Switchboard) -> None:
        super().__init__()
        self._switchboard = switchboard
        self.ready = False
        """Whether the panes are there."""
        self._search = LiveSearch(self._list)
        self._changes: set[Change] = set()
        self._drawn = self._typed = 0.0
        self._states: list[tuple[ProbeSpec, object]] = []
        self._guards: list[object] = []
        self._problems_told = 0

    def compose(self) -> ComposeResult:
        """The panes, in the order of their numbers."""
        yield StatusBar(id="status")
        with Horizontal(id="upper"):
            with Vertical(id="finder"):
                yield SearchBox(id="search")
                yield QueryNote(id="note")
                yield FunctionList(id="functions")
            with Vertical(id="right"):
                yield FunctionCard(id="card")
                yield ProbeList(id="probes")
        yield EventPane(id="events")
        yield KeyBar(id="keys")
        yield Static(f"kexplore needs {SMALLEST[0]} columns and {SMALLEST[1]} rows", id="too-small")

    def on_mount(self) -> None:
        """Start in the search box."""
        self.status, self.search_box = self.query_one(StatusBar), self.query_one(SearchBox)
        self.functions, self.card = self.query_one(FunctionList), self.query_one(FunctionCard)
        self.probes, self.events = self.query_one(ProbeList), self.query_one(EventPane)
        self.finder, self.note = self.query_one("#finder"), self.query_one(QueryNote)
        self.card.border_title = "3 function"
        self.search_box.focus()
        self.set_interval(1.0, self._tick)
        self.ready = True
        self._draw_titles()
        if self._switchboard.session is not None:
            self.show(self._switchboard.session)

    def show(self, session: Session) -> None:
        """Show another session from now on."""
        if self._session is not None:
            self._session.unsubscribe(self._heard)
        self._session = session
        session.subscribe(self._heard)
        self._problems_told, self._listed = 0, None
        self.card.show(session, None)
        self.functions.show(session, (), lambda name: ())
        self.probes.show(session)
        self.events.show(session)
        self._changes = set(Change)
        self._draw()

    def attempt_changed(self) -> None:
        """Reaching a target moved on."""
        attempt = self._switchboard.attempt
        running = attempt is not None and attempt.running and self._session is not None
        last = attempt.lines[-1][1] if attempt is not None and attempt.lines else "reaching it…"
        self.status.notice(f"{attempt.target.title}: {last}" if running and attempt else "")
        self._draw_titles()

    def _heard(self, change: Change) -> None:
        """Something changed in the session; drawn soon, and not more often than a person can read."""
        if not self._changes:
            now = time.monotonic()
            typing = self.search_box.has_focus and now - self._typed < _TYPING
            rest = (_REFRESH_TYPING if typing else REFRESH) - (now - self._drawn)
            # No timer of Textual's: a single short one that is late is skipped, and nothing would be drawn any more.
            asyncio.get_running_loop().call_later(max(rest, 0), self.call_later, self._draw)
        self._changes.add(change)

    def _draw(self) -> None:
        changes, self._changes = self._changes, set()
        self._drawn = time.monotonic()
        session = self._session
        if session is None or not self.is_running:
            return
        self.status.show(session)
        if changes & {Change.CATALOG, Change.SEARCH, Change.TERMS}:
            self._ask()
        if changes & {Change.PROBES, Change.EXPIRED, Change.LOST}:
            self._draw_probes(session)
        if changes & {Change.LISTS, Change.PROTOTYPES, Change.CATALOG, Change.SEARCH, Change.DEBUGINFO}:
            self.functions.refresh()
            self.card.renew()
        if changes & {Change.EVENTS, Change.PROTOTYPES}:
            self.events.renew()
        for message, hint in session.problems[self._problems_told :]:
            self.notify(hint or " ", title=message, severity="error", markup=False, timeout=10)
        self._problems_told = len(session.problems)
        self._draw_titles()

    def _draw_probes(self, session: Session) -> None:
        self.probes.renew()
        states: list[tuple[ProbeSpec, object]] = [(spec, probe.state) for spec, probe in session.probes.items()]
        guards: list[object] = [
            (probe, probe.guard, probe.alarm, probe.calls and probe.calls.seen) for probe in session.probes.values()
        ]
        if states != self._states:
            self._states = states
            if self._listed is not None and asks_for_armed(self._listed.query):
                self._ask()
            self.functions.refresh()
            self.card.renew()
        elif guards != self._guards:
            self.card.renew()
        self._guards = guards

    def _draw_titles(self) -> None:
        session = self._session
        if width := self.events.size.width:  # laid out; before that no line could be broken
            self.events.explain(no_events(session, self._switchboard.attempt, width))
        typed = self.search_box.value.strip()
        only = session is not None and session.catalog is not None and session.catalog.inlined_only(typed)
        inlined = Content(f"{typed} is inlined only: i, in the list, tells where" if only else "")
        if (self.finder.border_subtitle or "") != inlined.markup:  # set anew, it draws the whole finder anew
            self.finder.border_subtitle = inlined
        for pane, title in (
            (self.finder, titles.functions_title(self._listed, len(self.functions.marked))),
            (self.probes, titles.probes_title(session, self.probes.selected, self.probes.selected_group)),
            (self.events, titles.events_title(self.events.title(), session, self.events.outer_size.width)),
        ):
            content = Content(title)  # no markup: a filter may hold brackets
            if (pane.border_title or "") != content.markup:
                pane.border_title = content

    def _tick(self) -> None:
        if self._session is not None and self._session.limit is not None:
            self.status.show(self._session)
        if self._session is not None and self._session.probes:
            self._session.tick()
            self.probes.renew()

    # Search

    @on(Input.Changed, "#search")
    def _query_changed(self) -> None:
        query = self.search_box.value
        self._typed = time.monotonic()
        if query.startswith(PREFIX):
            self._browse_types(query)
        else:
            self._ask()

    def action_code(self) -> None:
        """The instructions of the function that is looked at, to pick places for probes from."""
        session, symbol = self._session, self._looked_at
        if session is not None and symbol is not None:
            self.app.push_screen(DisassemblyScreen(session, symbol))

    def action_types(self) -> None:
        """Browse the types of the prototype that is looked at."""
        self._browse_types("", self._looked_at)

    def _browse_types(self, query: str, symbol: Symbol | None = None) -> None:
        if isinstance(self.app.screen, TypesScreen):
            self.app.screen.typed_before(query)
        elif self._session is not None:
            self.app.push_screen(TypesScreen(self._session, query, symbol), self._types_left)

    def _types_left(self, query: str | None) -> None:
        if query is not None:
            self.search_box.value = query

    def _ask(self) -> None:
        session = self._session
        if session is None or session.catalog is None:
            return
        query = self.search_box.value
        if query.strip():
            self._search.ask(session, query)
        else:
            self._search.stop()
            rows = range(len(session.catalog.rows))
            self._list(Found("", "", rows, len(rows)))

    def _list(self, found: Found) -> None:
        session = self._session
        if session is None or session.catalog is None:
            return
        kept = self.functions.selected if self._listed and self._listed.query == found.query else None
        self._listed = found
        inlined = session.catalog.inlined_only(found.query.strip())
        empty = "inlined only: i, here, tells where" if inlined else titles.no_functions(found)
        self.note.show(found, self.search_box.size.width)
        self.functions.show(session, found.rows, lambda name: highlight(found.words, name), empty)
        if kept is not None:
            self.functions.select(kept)
        self._draw_titles()

    def action_scroll_functions(self, pages: int) -> None:
        """Move in the list without leaving the search box."""
        self.functions.action_move_page(pages)

    # Panes

    def on_descendant_focus(self) -> None:
        """In a small terminal the probes take the card's place while they have the focus."""
        self.set_class(self.focused is self.probes, "-probes")

    def action_back(self) -> None:
        """One step back: out of the zoom, out of the query, to the search box."""
        if self.zoomed:
            self.zoom("")
        elif self.focused is self.search_box:
            self.search_box.value = ""
        else:
            self.set_focus(self.search_box)

    # Probes

    @on(LineView.Moved, "#functions")
    def _function_moved(self) -> None:
        if self._session is not None and self.functions.selected != self.card.symbol:
            self.card.show(self._session, self.functions.selected)

    @on(LineView.Chosen, "#functions")
    def _function_chosen(self) -> None:
        self.action_focus_pane("card")

    @on(LineView.Moved, "#probes")
    def _probe_moved(self) -> None:
        self._draw_titles()

    @on(LineView.Chosen, "#probes")
    def _probe_chosen(self) -> None:
        probe = self.probes.selected
        if probe is None or self._session is None:
            return
        self.card.show(self._session, self._session.resolve(probe.spec))
        self.action_focus_pane("card")

    @on(FunctionList.MarksChanged)
    def _marks_changed(self) -> None:
        self._draw_titles()

    # Events

    @on(LineView.Chosen, "#events")
    def _event_chosen(self) -> None:
        session, event = self._session, self.events.selected
        if session is not None and event is not None:
            self.app.push_screen(InspectorScreen(session, event.number), self._inspected)
        elif session is None or session.hello is None or not session.hello.can_probe:
            self.app.call_later(self.app.run_action, "targets")

    def _inspected(self, number: int | None) -> None:
        if number is not None:
            self.events.select(number)

    @on(EventPane.FlowChanged)
    def _flow_changed(self) -> None:
        self._draw_titles()

    def action_copy(self) -> None:
        """Copy what the focused pane shows: a prototype, a probe, an event."""
        session = self._session
        if session is None:
            return
        text = ""
        if self.focused is self.probes and self.probes.selected is not None:
            text = str(self.probes.selected.spec)
        elif self.focused is self.events and self.events.selected is not None:
            text = event_line.plain(self.events.selected, session.describe(self.events.selected))
        elif self.card.symbol is not None and session.catalog is not None:
            text = session.catalog.prototype(self.card.symbol).text
        if text:
            self.app.copy_to_clipboard(text)
            self.notify(text, title="copied", markup=False, timeout=3)
