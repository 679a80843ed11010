"""Choosing the kernel to look at, and watching how it is reached."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget

from explorer.session.switchboard import Attempt, Switchboard
from explorer.session.target import Target
from explorer.session.values import printable
from explorer.widgets.card_lines import Lines, paragraph
from explorer.widgets.cells import fit, fit_right
from explorer.widgets.line_view import LineView
from explorer.widgets.palette import BRIGHT, ERROR, FAINT, GOOD, MUTED, TEXT, WARNING
from explorer.widgets.text_view import TextView


class TargetList(LineView):
    """The kernels that can be chosen."""

    HELP: ClassVar[str] = "targets"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "choose", "Look at it", id="targets.choose", tooltip="Look at this kernel"),
    ]

    def __init__(self, targets: Sequence[Target], *, id: str) -> None:
        super().__init__(id=id)
        self._targets = targets
        self._current: Target | None = None

    def show_current(self, target: Target | None) -> None:
        """Mark the kernel that is looked at."""
        self._current = target
        self.rows_changed()

    @property
    def row_count(self) -> int:
        """How many there are."""
        return len(self._targets)

    @property
    def selected(self) -> Target:
        """The one under the cursor."""
        return self._targets[self.cursor]

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """A kernel: whether it is the one looked at, its title, what it is."""
        target = self._targets[row]
        yield Segment(" ● " if target is self._current else "   ", GOOD)
        yield Segment(fit(target.title, 22), BRIGHT)
        yield Segment(" " + target.summary, MUTED)


class AttemptLog(TextView, can_focus=False):
    """The steps of reaching a target, and how it ended."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._attempt: Attempt | None = None

    def show(self, attempt: Attempt | None) -> None:
        """Show an attempt as far as it has come."""
        self._attempt = attempt
        width = self.scrollable_content_region.width
        self.show_lines(_log(attempt, width) if attempt is not None and width else [])
        self.action_move_to_last()

    def on_resize(self) -> None:
        """Lines break elsewhere."""
        self.show(self._attempt)


def _log(attempt: Attempt, width: int) -> Lines:
    lines: Lines = []
    for seconds, text in attempt.lines:
        broken = textwrap.wrap(printable(text), width - 9) or [""]
        for index, line in enumerate(broken):
            when = f"{seconds:.1f} s" if index == 0 else ""
            lines.append([Segment(fit_right(when, 7) + "  ", FAINT), Segment(line, TEXT)])
    if attempt.running:
        lines.append([Segment(f"reaching {attempt.target.title}…", WARNING)])
    elif attempt.error is not None:
        lines += paragraph(f"✗ {attempt.error.message}", ERROR, width, "  ")
        lines += paragraph(f"  {attempt.error.hint}", TEXT, width, "  ")
    return lines


class TargetsScreen(ModalScreen[None]):
    """The switcher. It may be left while a kernel is being reached: that goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", id="targets.cancel",
                tooltip="Give up reaching the kernel; with nothing under way: close"),
        Binding("b,t", "browse", "Browse on", key_display="b", id="targets.browse",
                tooltip="Close this, go on browsing while the kernel is being reached"),
    ]  # fmt: skip

    class Picked(Message):
        """A kernel was chosen."""

        def __init__(self, target: Target) -> None:
            self.target = target
            super().__init__()

    def __init__(self, switchboard: Switchboard, targets: Sequence[Target]) -> None:
        super().__init__()
        self._switchboard = switchboard
        self._targets = targets

    def compose(self) -> ComposeResult:
        """The kernels, and below them the steps."""
        with Vertical(id="box") as box:
            box.border_title = "look at which kernel?"
            yield TargetList(self._targets, id="targets")
            yield AttemptLog(id="log")

    def on_mount(self) -> None:
        """The cursor stands on the first other kernel."""
        targets = self.query_one(TargetList)
        targets.styles.height = len(self._targets)
        targets.focus()
        self.attempt_changed()
        current = self._switchboard.session.target if self._switchboard.session else None
        others = [row for row, target in enumerate(self._targets) if target is not current]
        if others:
            targets.cursor = others[0]

    @property
    def _reaching(self) -> bool:
        attempt = self._switchboard.attempt
        return attempt is not None and attempt.running

    def attempt_changed(self) -> None:
        """Reaching a target moved on; once it has answered, this screen is done."""
        session, attempt = self._switchboard.session, self._switchboard.attempt
        self.query_one(TargetList).show_current(session.target if session else None)
        log = self.query_one(AttemptLog)
        told = attempt if self._reaching or (attempt and attempt.error) else None
        log.display = told is not None
        log.show(told)
        box: Widget = self.query_one("#box")
        box.border_subtitle = "Esc cancel   b browse on meanwhile" if self._reaching else "Enter look at it   Esc close"

    @on(LineView.Chosen, "#targets")
    def _chosen(self) -> None:
        if not self._reaching:
            self.app.post_message(self.Picked(self.query_one(TargetList).selected))

    def action_leave(self) -> None:
        """Cancel what is under way, else close."""
        if self._reaching:
            self._switchboard.cancel()
        else:
            self.dismiss()

    def action_browse(self) -> None:
        """Close; what is under way goes on."""
        self.dismiss()
