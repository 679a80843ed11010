"""The commands that the program runs, one at a time: started, watched, told when they end, ended with the program."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import App

from explorer.screens.command import CommandScreen, ending
from explorer.session.session import Session
from explorer.session.traced_command import TracedCommand
from symbols.errors import KexploreError

_REDRAW = 0.1
"""Seconds between two drawings of a command's output."""


class CommandRuns:
    """Holds the last command.

    Args:
        app: The program.
        session: The session that is shown, if one is.
    """

    def __init__(self, app: App[None], session: Callable[[], Session | None]) -> None:
        self._app = app
        self._session = session
        self._command: TracedCommand | None = None
        self._waiting = self._told = False

    def ask(self) -> None:
        """Ask for a command, or show the one that runs."""
        if not isinstance(self._app.screen, CommandScreen):
            self._app.push_screen(CommandScreen(self._command))

    async def run(self, line: str) -> None:
        """Run a command under the probes; the empty one: record everybody's calls again."""
        session = self._session()
        if session is None:
            return
        await self.close()
        command = self._command = TracedCommand(session, line, self._changed) if line else None
        self._draw()  # while it starts, no other one can be asked for
        try:
            if command is None:
                await session.focus([])
                self._app.notify(" ", title="everybody's calls are recorded again", markup=False, timeout=4)
            else:
                self._told = False
                await command.start()
        except KexploreError as error:
            self._app.notify(error.hint or " ", title=error.message, severity="error", markup=False, timeout=8)
            if self._command is command:
                self._command = None
                self._draw()

    async def close(self) -> None:
        """End the command that runs, with all that did not leave its process group."""
        command, self._command = self._command, None
        if command is not None:
            await command.close()

    def _changed(self) -> None:
        if not self._waiting:
            self._waiting = True
            self._app.set_timer(_REDRAW, self._draw)

    def _draw(self) -> None:
        self._waiting = False
        command, screen = self._command, self._app.screen
        if isinstance(screen, CommandScreen):
            screen.show(command)
        if command is not None and command.over and not self._told:
            self._told = True
            last = command.output[-1] if command.output else "it wrote nothing"
            self._app.notify(f"{last}\n! shows its output, runs another, or records everybody again",
                             title=ending(command), markup=False, timeout=8,
                             severity="information" if command.code == 0 else "warning")  # fmt: skip
