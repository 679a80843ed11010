"""One line in which the filter of a probe is written, checked at every key."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from explorer.session.filters.completion import Completion, complete
from explorer.session.filters.errors import FilterError
from explorer.session.filters.filter import Filter
from explorer.session.filters.scope import Scope
from explorer.session.probe import Probe
from explorer.widgets.card_lines import Lines, paragraph
from explorer.widgets.palette import BRIGHT, ERROR, FAINT, GOOD, KEY, MUTED, TEXT, WARNING
from explorer.widgets.text_view import TextView

_MOST_CANDIDATES = 12


class FilterInput(Input):
    """The line itself: everything printable is text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "screen.complete", "Complete", id="filter.complete", priority=True,
                tooltip="Complete the name before the cursor"),
    ]  # fmt: skip

    def __init__(self, text: str, *, id: str) -> None:
        super().__init__(text, id=id, placeholder='count > 4096 && comm == "cat"', compact=True, select_on_focus=False)
        self.cursor_blink = False  # over a thin line, a program that nobody touches should send nothing


class FilterAdvice(TextView, can_focus=False):
    """Below the line: what is wrong and where, or who will filter; what may be asked for."""


class FilterScreen(ModalScreen[str | None]):
    """Ends with the filter, "" for none; with None when it is to stay as it was.

    Args:
        probe: Whose filter.
        scope: What can be named there.
        understood: What a text means there; None for the empty one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave it", id="filter.leave", tooltip="Leave the filter as it was"),
    ]

    def __init__(self, probe: Probe, scope: Scope, understood: Callable[[str], Filter | None]) -> None:
        super().__init__()
        self._understood = understood
        self._probe = probe
        self._scope = scope

    def compose(self) -> ComposeResult:
        """The line, and the advice below."""
        with Vertical(id="box") as box:
            box.border_title = f"filter of {self._probe.spec}"
            box.border_subtitle = "Enter apply   Tab complete   Esc leave it   empty: no filter"
            yield FilterInput(self._probe.filter.text if self._probe.filter else "", id="filter")
            yield FilterAdvice(id="advice")

    def on_mount(self) -> None:
        """What stands there is judged at once."""
        self._line = self.query_one(FilterInput)
        self._line.focus()
        self._advise()

    def on_resize(self) -> None:
        """Lines break elsewhere."""
        self.call_after_refresh(self._advise)

    @on(Input.Changed, "#filter")
    def _advise(self) -> None:
        advice = self.query_one(FilterAdvice)
        width = advice.scrollable_content_region.width
        if width:
            advice.show_lines([*self._judgement(width), [], *self._names(width)])

    def _judgement(self, width: int) -> Lines:
        text = self._line.value
        try:
            understood = self._understood(text)
        except FilterError as error:
            scrolled = text and len(text) >= self._line.scrollable_content_region.width
            place = [] if scrolled else [[Segment(error.carets, ERROR)]]
            return [*place, *paragraph(error.what, ERROR, width), *paragraph(error.hint, MUTED, width)]
        if understood is None:
            return [[Segment("no filter: every hit is recorded", MUTED)]]
        style = WARNING if understood.by_agent else GOOD
        return [[], *paragraph(f"✓ {understood.label}", style, width, "  ")]

    def _names(self, width: int) -> Lines:
        completion = self._completion()
        if completion is not None and completion.candidates and completion.candidates != (completion.word,):
            shown = completion.candidates[:_MOST_CANDIDATES]
            more = " …" if len(completion.candidates) > len(shown) else ""
            return [[Segment("Tab ", KEY), Segment("  ".join(shown) + more, BRIGHT)]]
        lines: Lines = []
        line: list[Segment] = []
        used = 0
        for name in self._scope.names():
            meaning = self._scope.find(name)
            kind = meaning.type.text if meaning is not None and meaning.type is not None else "text"
            if used and used + len(name) + len(kind) + 3 > width:
                lines.append(line)
                line, used = [], 0
            line += [Segment(name, TEXT), Segment(f" {kind}   ", FAINT)]
            used += len(name) + len(kind) + 4
        return [*lines, line]

    def _completion(self) -> Completion | None:
        return complete(self._line.value, self._line.cursor_position, self._scope)

    def action_complete(self) -> None:
        """Complete the name before the cursor."""
        completion = self._completion()
        if completion is None or not completion.candidates:
            self.app.bell()
            return
        behind = self._line.value[self._line.cursor_position :]
        begun = self._line.value[: completion.start] + completion.insertion
        self._line.value = begun + behind
        self._line.cursor_position = len(begun)

    @on(Input.Submitted, "#filter")
    def _submitted(self) -> None:
        text = self._line.value.strip()
        try:
            self._understood(text)
        except FilterError:
            self.app.bell()  # what is wrong stands below
        else:
            self.dismiss(text)

    def action_leave(self) -> None:
        """Leave the filter as it was."""
        self.dismiss(None)
