"""A command line, and the output of the command that was run: its process tree alone is recorded meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input

from explorer.session.traced_command import TracedCommand
from explorer.widgets.cells import count
from explorer.widgets.line_view import LineView
from explorer.widgets.palette import FAINT, TEXT


class CommandOutput(LineView):
    """The newest lines of a command's output."""

    HELP: ClassVar[str] = "output of the command"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._lines: list[str] = []
        self._dropped = 0

    def show(self, command: TracedCommand | None) -> None:
        """Take in what came; stay at the end if that is what is shown."""
        following = self.cursor >= self.row_count - 1
        self._lines = list(command.output) if command is not None else []
        self._dropped = command.dropped if command is not None else 0
        self.rows_changed()
        if following:
            self.move_cursor(self.row_count - 1)

    @property
    def row_count(self) -> int:
        """Lines."""
        return len(self._lines) + bool(self._dropped)

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """A line of output; the first says what is not kept."""
        if self._dropped and row == 0:
            return [Segment(f"{count(self._dropped)} lines before are not kept", FAINT)]
        return [Segment(self._lines[row - bool(self._dropped)], TEXT)]


class CommandScreen(ModalScreen[None]):
    """Asks for a command; shows the one that runs, or the last one. It may be closed while a command runs.

    Args:
        command: The command that was run last; None before the first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="command.close", tooltip="Close this; the command runs on"),
        Binding("s", "stop", "Stop", id="command.stop",
                tooltip="End the command and what it started: ask by SIGTERM, the second time SIGKILL"),
    ]  # fmt: skip

    class Wanted(Message):
        """A command line was written; an empty one asks for everybody's calls again."""

        def __init__(self, line: str) -> None:
            self.line = line
            super().__init__()

    def __init__(self, command: TracedCommand | None) -> None:
        super().__init__()
        self._command = command

    def compose(self) -> ComposeResult:
        """The line, and the output below."""
        with Vertical(id="box") as box:
            box.border_title = "run a command: only what it and its children do is recorded"
            line = Input(id="command", placeholder="cat /etc/passwd    (empty: everybody again)", compact=True)
            line.cursor_blink = False
            yield line
            yield CommandOutput(id="output")

    def on_mount(self) -> None:
        """A command that runs is shown; else one is asked for."""
        self.show(self._command)

    def show(self, command: TracedCommand | None) -> None:
        """Show a command as it stands."""
        line, output = self.query_one(Input), self.query_one(CommandOutput)
        self._command = command
        running = command is not None and not command.over
        output.show(command)
        if line.disabled is not running:
            line.disabled = running
        if running and command is not None and line.value != command.line:
            line.value = command.line
        (output if running else line).focus()
        self.query_one("#box", Vertical).border_subtitle = _state(command)

    @on(Input.Submitted, "#command")
    def _submitted(self, submitted: Input.Submitted) -> None:
        self.app.post_message(self.Wanted(submitted.value.strip()))

    def action_stop(self) -> None:
        """End the command."""
        if self._command is not None:
            self._command.stop()


def _state(command: TracedCommand | None) -> str:
    if command is None:
        return "Enter run it   Esc close"
    if command.over and command.code is None:
        return "lost with its kernel   Enter run   Esc close"
    if command.code is None:
        return "running   s stop   Esc close, it runs on"
    if not command.over:
        return f"ended with {command.code}; what it started runs on   s stop   Esc close"
    return f"ended with {command.code}   Enter run   Esc close"


def ending(command: TracedCommand) -> str:
    """What is told when a command has ended."""
    line = command.line.splitlines()[0][:60]
    return f"{line} was lost with its kernel" if command.code is None else f"{line} ended with {command.code}"
