"""Help: every key, made from the bindings themselves, those of the focused pane first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen

from explorer.widgets.card_lines import paragraph
from explorer.widgets.cells import fit
from explorer.widgets.key_bar import keys_of
from explorer.widgets.line_view import LineView
from explorer.widgets.palette import BRIGHT, ENTRY, FAINT, KEY, MATCH, MUTED, RETURN, TEXT, WARNING
from explorer.widgets.query_help import QUERY_HELP
from explorer.widgets.search_box import SearchBox
from explorer.widgets.text_view import TextView

_MARKS = (
    ("→ ← ↔", ENTRY, "a probe is armed at the entry, at the return, at both"),
    ("… !", WARNING, "it is being armed, or was refused"),
    (" ", MUTED, "no mark: can be probed by ftrace, the cheapest way"),
    ("·", MUTED, "can be probed, by a jump (cheap) or a breakpoint (dear)"),
    ("=", WARNING, "several functions share the name: this one is armed by its address"),
    ("└", FAINT, "what the compiler made of the function above it"),
    ("✗", FAINT, "cannot be probed; the card says why"),
    ("?", FAINT, "the lists that would tell could not be read"),
    ("abc", MATCH, "the letters that the query found"),
    ("▸ ▾ »", TEXT, "of a type's member: has members inside, closed or open; leads to another type"),
    ("line", FAINT, "the first member to begin in this cache line, if the struct itself begins on one"),
    ("missed", RETURN, "hits that the kernel could not handle"),
    ("lost", RETURN, "hits that were overwritten before they were read"),
    ("filtered", TEXT, "hits that the probe's filter rejected, the program's own calls, and what others did"),
    ("not shown", RETURN, "hits that were counted, but came faster than a person could read them"),
)
_KEYS_WIDTH = 15


class HelpText(TextView):
    """The lines of the help."""

    HELP: ClassVar[str] = "help"

    def __init__(self, sections: list[tuple[str, list[Binding]]], *, id: str) -> None:
        super().__init__(id=id)
        self._sections = sections

    def on_resize(self) -> None:
        """Break the lines for this width."""
        self.show_lines(list(self._break(self.scrollable_content_region.width)))

    def _break(self, width: int) -> Iterator[list[Segment]]:
        for title, bindings in self._sections:
            yield [Segment(title, BRIGHT)]
            for binding in bindings:
                yield from _entry(keys_of(binding), KEY, binding.tooltip or binding.description, width)
            yield []
            if title.startswith(SearchBox.HELP):
                yield [Segment("what it takes", BRIGHT)]
                for term, words in QUERY_HELP:
                    yield from _entry(term, KEY, words, width)
                yield []
        yield [Segment("marks", BRIGHT)]
        for mark, style, words in _MARKS:
            yield from _entry(mark, style, words, width)


def _entry(left: str, style: object, words: str, width: int) -> Iterator[list[Segment]]:
    room = width - _KEYS_WIDTH - 1
    for index, line in enumerate(paragraph(words, TEXT, room)):
        head = Segment(fit(f" {left}" if index == 0 else "", _KEYS_WIDTH) + " ", KEY if style is KEY else style)  # type: ignore[arg-type]
        yield [head, *line]


class HelpScreen(ModalScreen[None]):
    """Laid over the screen whose keys it explains."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q", "dismiss", "Close", key_display="Esc", id="help.close",
                tooltip="Close the help"),
    ]  # fmt: skip

    def __init__(self, explained: Screen[Any]) -> None:
        super().__init__()
        self._explained = explained

    def compose(self) -> ComposeResult:
        """A box of text."""
        with Vertical(id="box") as box:
            box.border_title = "keys"
            box.border_subtitle = "Esc closes, arrows scroll"
            yield HelpText(sections_of(self._explained), id="help")

    def on_mount(self) -> None:
        """The keys scroll."""
        self.query_one(HelpText).focus()


def sections_of(screen: Screen[Any]) -> list[tuple[str, list[Binding]]]:
    """Bindings by where they work: the focused pane, the other panes, the screen, the program."""
    focused = screen.focused
    panes = [widget for widget in screen.walk_children() if hasattr(widget, "HELP")]
    panes.sort(key=lambda widget: widget is not focused)
    sections = [(_title(pane) + (" (focused)" if pane is focused else ""), _bindings(type(pane))) for pane in panes]
    rows = _bindings(LineView)
    app: App[Any] = screen.app
    sections += [("rows of any pane", rows), (_title(screen), _bindings(type(screen)))]
    sections.append(("program", _bindings(type(app))))
    return [(title, bindings) for title, bindings in sections if bindings]


def _title(node: DOMNode) -> str:
    title = getattr(node, "HELP", "")
    return title if isinstance(title, str) and title else type(node).__name__


def _bindings(kind: type[DOMNode]) -> list[Binding]:
    """The bindings that a class itself declares; of a screen also those of the screens that it is built on."""
    bases = [
        base for base in reversed(kind.__mro__) if base is kind or (issubclass(base, Screen) and base is not Screen)
    ]
    declared = [binding for base in bases for binding in base.__dict__.get("BINDINGS", [])]
    return [binding for binding in declared if isinstance(binding, Binding)]
