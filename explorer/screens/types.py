"""The type browser: types by a few letters, or those of a prototype, and the members of one as a tree."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from explorer.session.change import Change
from explorer.session.session import Session
from explorer.widgets.cells import count
from explorer.widgets.heading import Heading
from explorer.widgets.key_bar import KeyBar
from explorer.widgets.line_view import LineView
from explorer.widgets.search_box import SearchBox
from explorer.widgets.type_list import Listed, TypeList
from explorer.widgets.type_view import TypeView, columns, detail, heading
from symbols.btf_format import Kind
from symbols.errors import KexploreError
from symbols.prototype_types import types_of
from symbols.symbol import Symbol
from symbols.type_index import NamedType, TypeIndex, TypesFound
from symbols.type_text import to_text
from symbols.type_tree import TypeTree, target

PREFIX = "t:"
"""What a query for types begins with, in the search box of functions too."""
_LIMIT = 500


@dataclasses.dataclass(frozen=True, slots=True)
class _Visit:
    """A type that was left by a pointer, and where the cursor was."""

    tree: TypeTree
    cursor: int


class TypeBox(SearchBox):
    """Where a query for types is typed; without its ``t:`` it becomes one for functions."""

    HELP: ClassVar[str] = "search of types"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,enter", "screen.focus_pane('functions')", "List", key_display="Enter", id="type-search.list",
                tooltip="Go to the list of types, the best match under the cursor"),
        Binding("pagedown", "screen.scroll_functions(1)", "Next page", show=False, id="type-search.page-down",
                tooltip="One page down in the list, without leaving the search box"),
        Binding("pageup", "screen.scroll_functions(-1)", "Previous page", show=False, id="type-search.page-up",
                tooltip="One page up in the list, without leaving the search box"),
        Binding("escape", "screen.back", "Functions", id="type-search.back", tooltip="Back to the functions"),
    ]  # fmt: skip


class TypesScreen(Screen[str | None]):
    """Ends with the query for functions that was typed last, or None where none was.

    Args:
        session: Whose types they are.
        query: What has been typed so far, ``t:`` included.
        symbol: The function whose prototype's types are listed first, while nothing is typed.
    """

    HELP: ClassVar[str] = "type browser"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - declared so by Textual
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="type-browser.back",
                tooltip="Back to the type before, from the first one to the list, from there to the functions"),
        Binding("backspace", "back", "Back", show=False, id="type-browser.backspace", tooltip="The same"),
        Binding("slash", "focus_pane('search')", "Search", id="type-browser.search", tooltip="Search all types"),
        Binding("Y", "copy_type", "Copy type", id="type-browser.copy-type",
                tooltip="Copy the type as C with its offsets"),
        Binding("tab", "next_pane(1)", "Next pane", show=False, id="type-browser.next-pane",
                tooltip="The search box, the list of types, the members"),
        Binding("shift+tab", "next_pane(-1)", "Previous pane", show=False, id="type-browser.previous-pane",
                tooltip="The same, backwards"),
    ]  # fmt: skip

    def __init__(self, session: Session, query: str = "", symbol: Symbol | None = None) -> None:
        super().__init__()
        self._session = session
        self._typed_before = query
        self._symbol = symbol
        self._history: list[_Visit] = []
        self._generation = 0
        self._ready = 0.0
        """When the panes were there, as messages tell the time; 0 before."""
        self._index: TypeIndex | None = None

    def compose(self) -> ComposeResult:
        """The list beside the tree."""
        with Horizontal(id="type-panes"):
            with Vertical(id="type-finder"):
                yield TypeBox(id="type-query")
                yield TypeList(id="types")
            with Vertical(id="type-shown"):
                yield Heading(id="type-heading")
                yield Heading(id="type-columns")
                yield TypeView(id="members")
                yield Heading(id="type-detail")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Start where a query goes on, or in the list of a prototype's types."""
        self.box, self.types = self.query_one(TypeBox), self.query_one(TypeList)
        self.members = self.query_one(TypeView)
        self._heading = self.query_one("#type-heading", Heading)
        self._columns = self.query_one("#type-columns", Heading)
        self._detail = self.query_one("#type-detail", Heading)
        self.box.placeholder = "types by a few letters"
        self.box.value = self._typed_before
        self.box.cursor_position = len(self.box.value)
        self.set_focus(self.types if self._symbol is not None else self.box)
        self._session.subscribe(self._heard)
        self._ask()
        self._ready = Message().time

    def on_key(self, event: events.Key) -> None:
        """Letters typed before there was a box to take them; what comes later has been through the focused pane."""
        if event.time < self._ready and event.character is not None and event.is_printable:
            event.stop()
            self.box.insert_text_at_cursor(event.character)

    def on_unmount(self) -> None:
        """Hear no more of the session."""
        self._session.unsubscribe(self._heard)

    @property
    def ready(self) -> bool:
        """Whether the panes are there."""
        return self._ready > 0

    def typed_before(self, query: str) -> None:
        """Letters that were typed while this screen was being built went to the box that it came from."""
        if not self.ready:
            self._typed_before = query
        elif query != self._typed_before:
            self.box.value = query + self.box.value[len(self._typed_before) :]
            self.box.cursor_position = len(self.box.value)
            self._typed_before = query

    def _heard(self, change: Change) -> None:
        if change is Change.PROTOTYPES:
            self._ask()

    # The list

    @on(Input.Changed, "#type-query")
    def _query_changed(self) -> None:
        if self._typed_before.startswith(PREFIX) and not self.box.value.startswith(PREFIX):
            self.dismiss(self.box.value)
        else:
            self._ask()

    def _ask(self) -> None:
        self._generation += 1
        self.run_worker(self._find(self._generation), group="types", exclusive=True)

    async def _find(self, generation: int) -> None:
        """Collect the types where that was not done yet, search them, list what was found."""
        catalog = self._session.catalog
        query = self.box.value.removeprefix(PREFIX).strip()
        try:
            if catalog is None:
                raise KexploreError("the kernel's types are loading…")
            self._index = index = await asyncio.to_thread(catalog.types)
        except KexploreError as error:
            self.types.show_offered((), f"{error.message}{f' ({error.hint})' if error.hint else ''}")
            self._title("types")
            return
        if self._symbol is not None and not self.box.value:
            self._offer(self._symbol, index)
            return
        found = await asyncio.to_thread(index.search, query, _LIMIT, lambda: generation != self._generation)
        if generation != self._generation:
            return
        self.types.show_found(index, found.rows, query)
        self._title(_found_title(found))

    def _offer(self, symbol: Symbol, index: TypeIndex) -> None:
        assert self._session.catalog is not None
        prototype = self._session.catalog.prototype(symbol)
        offered = [
            Listed(each.named, each.called, each.joint, each.called)
            for each in types_of(prototype, index, symbol.module)
        ]
        self.types.show_offered(offered, f"{symbol.name} has no struct, union or enum in its prototype")
        self._title(f"types of {symbol.name}")

    def _title(self, title: str) -> None:
        self.query_one("#type-finder").border_title = title

    @on(LineView.Moved, "#types")
    def _type_moved(self) -> None:
        listed = self.types.selected
        self._history.clear()
        if listed is None:
            self.members.show(None)
        else:
            self._show(listed.named, listed.path, listed.joint)

    @on(LineView.Chosen, "#types")
    def _type_chosen(self) -> None:
        if self.types.selected is not None:
            self.set_focus(self.members)

    # The tree

    def _show(self, named: NamedType, path: str, joint: str) -> None:
        try:
            self.members.show(TypeTree(named, path, joint))
        except KexploreError as error:
            self.members.show(None, f"{named.text}: {error.message}")

    @on(LineView.Moved, "#members")
    def _member_moved(self) -> None:
        self._draw_around()

    def on_resize(self) -> None:
        """Totals break elsewhere."""
        self.call_after_refresh(self._draw_around)

    def _draw_around(self) -> None:
        tree, node = self.members.tree_shown, self.members.selected
        before = f" · from {self._history[-1].tree.named.text}" if self._history else ""
        self.query_one("#type-shown").border_title = f"members{before}"
        self._heading.say(*(heading(tree, self._heading.size.width) if tree is not None else ()))
        self._columns.say(*(columns(tree, self.members.size.width) if tree is not None else ()))
        self._detail.say(*(detail(tree, node) if tree is not None and node is not None else ()))

    @on(LineView.Chosen, "#members")
    def _member_chosen(self) -> None:
        tree, node = self.members.tree_shown, self.members.selected
        if tree is None or node is None:
            return
        if node.opens:
            self.members.action_turn()
            return
        leads = target(tree, node)
        if leads is None:
            return
        named, path, joint = leads
        if named.record.kind is Kind.FWD:
            defined = self._index.find(named.text) if self._index is not None else []
            if not defined:
                self.notify("no BTF that is loaded defines it", title=f"{named.text} is only declared", markup=False)
                return
            named = defined[0]
        self._history.append(_Visit(tree, self.members.cursor))
        self._show(named, path, joint)

    # Around

    def on_descendant_focus(self) -> None:
        """In a narrow terminal the members get all of it while they have the focus."""
        self.set_class(self.focused is self.members, "-members")

    def action_focus_pane(self, pane: str) -> None:
        """The search box, or the list."""
        self.set_focus(self.box if pane == "search" else self.types)

    def action_next_pane(self, step: int) -> None:
        """Go round the panes, those included that are hidden for want of room."""
        panes: list[Widget] = [self.box, self.types, self.members]
        at = panes.index(self.focused) if self.focused in panes else 0
        self.set_focus(panes[(at + step) % len(panes)])

    def action_scroll_functions(self, pages: int) -> None:
        """Move in the list without leaving the search box."""
        self.types.action_move_page(pages)

    def action_back(self) -> None:
        """One step back."""
        if self.focused is self.members and self._history:
            visit = self._history.pop()
            self.members.show(visit.tree, cursor=visit.cursor)
        elif self.focused is self.members:
            self.set_focus(self.types)
        elif self.focused is self.types and self._symbol is None:
            self.set_focus(self.box)
        else:
            self.dismiss("" if self._typed_before else None)

    def action_copy(self) -> None:
        """Copy the path of the member."""
        node = self.members.selected
        if node is not None and node.path:
            self._copy(node.path)

    def action_copy_type(self) -> None:
        """Copy the whole type as C."""
        tree = self.members.tree_shown
        if tree is not None:
            self._copy(to_text(tree.named), f"{tree.named.text} as C")

    def _copy(self, text: str, said: str = "") -> None:
        self.app.copy_to_clipboard(text)
        self.notify(said or text, title="copied", markup=False, timeout=3)


def _found_title(found: TypesFound) -> str:
    shown = f"{count(len(found.rows))} of " if len(found.rows) < found.total else ""
    return f"types · {shown}{count(found.total)}{'+' if found.at_least else ''}{' ≈' if found.approximate else ''}"
