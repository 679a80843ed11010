"""The search box: one line, in which every letter and digit is text and the arrows lead to the list."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.keys import key_to_character
from textual.reactive import Reactive
from textual.widgets import Input

_PRINTED = {"slash": True, "question_mark": False, "exclamation_mark": False}
_IN_NO_NAME = {"?": "app.help", "!": "app.command"}
_PLACEHOLDER = "name, takes:bio, is:… (? helps)"
_EDITING = {key: each.action for each in Input.BINDINGS if isinstance(each, Binding) for key in each.key.split(",")}
_TO_THE_LIST = "screen.focus_pane('functions')"


class SearchBox(Input):
    """Where a query is typed. Posts ``Input.Changed`` at each key."""

    HELP: ClassVar[str] = "search"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "down,enter", _TO_THE_LIST, "List", key_display="Enter", id="search.list",
            tooltip="Go to the list of functions, the best match under the cursor",
        ),
        Binding(
            "pagedown", "screen.scroll_functions(1)", "Next page", show=False, id="search.page-down",
            tooltip="One page down in the list, without leaving the search box",
        ),
        Binding(
            "pageup", "screen.scroll_functions(-1)", "Previous page", show=False, id="search.page-up",
            tooltip="One page up in the list, without leaving the search box",
        ),
        Binding("escape", "screen.back", "Clear", id="search.clear", tooltip="Clear the query"),
    ]  # fmt: skip

    virtual_size: Reactive[Size] = Reactive(Size(0, 0))  # Textual's own lays the screen out at each key

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, placeholder=_PLACEHOLDER, compact=True, select_on_focus=False)
        self.cursor_blink = False  # over a thin line, a program that nobody touches should send nothing

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Whether a key is text here, so that what it is bound to elsewhere cannot be promised."""
        if key in _PRINTED:  # Textual knows no character for these names
            return _PRINTED[key]
        return super().check_consume_key(key, character or key_to_character(key))

    async def on_key(self, event: events.Key) -> None:
        """Keys that mean something though this is a line of text.

        A binding runs only after the key has bubbled up to the program: a Space typed right behind Enter would be text
        by then, and one letter typed right behind a Backspace would be the letter that is deleted. So these act here,
        and what this box gets after Enter is given back to be sent to the pane in focus.
        """
        if self.screen.focused is not self:
            action = None
            self.app.post_message(events.Key(event.key, event.character))
        elif event.key in ("enter", "down"):
            action = _TO_THE_LIST
        elif event.character in _IN_NO_NAME:
            action = _IN_NO_NAME[event.character]
        elif event.key in _EDITING:
            action = _EDITING[event.key]
        else:
            return
        event.stop()
        event.prevent_default()
        if action is not None:
            await self.app.run_action(action, self)
