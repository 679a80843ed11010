"""The full-screen program: wires targets, sessions and screens; the work is done in them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import signal
from collections.abc import Iterable, Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from explorer import garbage, textual_strips
from explorer.errors import TargetLostError
from explorer.screens.browse import BrowseScreen
from explorer.screens.command import CommandScreen
from explorer.screens.command_runs import CommandRuns
from explorer.screens.confirm import ConfirmScreen
from explorer.screens.help import HelpScreen
from explorer.screens.targets import TargetsScreen
from explorer.session import dead_sessions
from explorer.session.session import Session
from explorer.session.switchboard import Switchboard
from explorer.session.target import LocalTarget, Target
from explorer.session.time_limit import TimeLimit
from explorer.terminal_driver import TerminalDriver
from explorer.widgets.key_bar import keys_of
from explorer.widgets.palette import THEME
from symbols.errors import KexploreError

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_PATIENCE = 0.3
"""Seconds of disarming after which the user is told of it."""


class KexploreApp(App[None]):
    """The program.

    Args:
        target: The kernel to look at first.
        available: The kernels that can be changed over to.
        limit: How long anything may stay armed; None: until the end.
        engine: What arms probes: "tracefs", "bpf", or "auto".

    Attributes:
        left_behind: After the end: what could not be removed from the kernels that were looked at.
    """

    TITLE = "kexplore"
    HELP: ClassVar[str] = "program"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "help", "Help", key_display="?", id="app.help", tooltip="All keys"),
        Binding("colon,ctrl+p", "command_palette", "Commands", show=False, key_display=": Ctrl+P", id="app.commands",
                tooltip="Everything that can be done, by name"),
        Binding("exclamation_mark", "command", "Run a command", show=False, key_display="!", id="app.command",
                tooltip="Run a command: only what it and its children do is recorded, from the first instruction"),
        Binding("q", "quit", "Quit", id="app.quit", tooltip="Disarm everything and leave (not in the search box)"),
        Binding("ctrl+c,ctrl+q", "quit", "Quit", show=False, key_display="Ctrl+C", priority=True, id="app.quit-now",
                tooltip="Disarm everything and leave, from anywhere"),
    ]  # fmt: skip

    def __init__(
        self,
        target: Target,
        available: Sequence[Target] = (),
        limit: TimeLimit | None = None,
        engine: str = "auto",
    ) -> None:
        # Without colours the terminal's own are used, so that reverse video is all that marks a row.
        textual_strips.mend()
        super().__init__(driver_class=TerminalDriver, ansi_color=True if "NO_COLOR" in os.environ else None)
        self.register_theme(THEME)
        self.theme = THEME.name
        self._first = target
        self._available = list(available) or [target]
        self._switchboard = Switchboard(self._attempt_changed, self._switched, limit, engine)
        self._by_sudo = LocalTarget(sudo=True)
        self._leaving = False
        self._commands = CommandRuns(self, lambda: self.session)

    @property
    def left_behind(self) -> list[str]:
        """What could not be removed."""
        return self._switchboard.left_behind

    @property
    def deleting(self) -> int:
        """How many disabled definitions the agents go on to delete."""
        return self._switchboard.deleting

    @property
    def session(self) -> Session | None:
        """The session that is shown."""
        return self._switchboard.session

    def get_default_screen(self) -> BrowseScreen:
        """The main screen."""
        self._browse = BrowseScreen(self._switchboard)
        return self._browse

    def on_mount(self) -> None:
        """Reach the first target while the screen is being built, and end cleanly when told to."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._leave_soon)
        self._switchboard.start(self._first, self.suspend)

    def on_unmount(self) -> None:
        """Give the signals back."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    def _attempt_changed(self) -> None:
        if self._browse.ready:
            self._browse.attempt_changed()
        if isinstance(self.screen, TargetsScreen):
            self.screen.attempt_changed()

    def _switched(self, session: Session) -> None:
        if self._browse.ready:  # otherwise it asks by itself once it is
            self._browse.show(session)
        if isinstance(self.screen, TargetsScreen):
            self.screen.dismiss()
        self.run_worker(self._commands.close(), group="command")  # it was under the probes of another kernel
        self.run_worker(self._load(session), group="loading", exclusive=True)
        self.run_worker(self._sweep(session), group="sweeping")

    async def _load(self, session: Session) -> None:
        try:
            await session.load()
        except KexploreError as error:
            if not self._leaving:
                self.notify(error.hint or " ", title=error.message, severity="error", markup=False, timeout=30)
        finally:
            garbage.settle()

    async def _sweep(self, session: Session) -> None:
        with contextlib.suppress(TargetLostError):  # told by the session
            for message, hint in await dead_sessions.sweep(session):
                self.notify(hint or " ", title=message, severity="warning", markup=False, timeout=10)

    def action_help(self) -> None:
        """All keys."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_command(self) -> None:
        """Run a command under the probes, or look at the one that runs."""
        self._commands.ask()

    @on(CommandScreen.Wanted)
    def _command_wanted(self, wanted: CommandScreen.Wanted) -> None:
        self.run_worker(self._commands.run(wanted.line), group="command")

    def action_targets(self) -> None:
        """Choose another kernel."""
        if not isinstance(self.screen, TargetsScreen):
            self.push_screen(TargetsScreen(self._switchboard, self._targets()))

    def _targets(self) -> list[Target]:
        """What can be looked at: through sudo only where the agent has no privilege yet."""
        session = self.session
        if session is None or session.hello is None or not isinstance(session.target, LocalTarget):
            return self._available
        if session.hello.euid != 0 and shutil.which("sudo"):
            return [self._available[0], self._by_sudo, *self._available[1:]]
        return self._available

    @on(TargetsScreen.Picked)
    def _picked(self, picked: TargetsScreen.Picked) -> None:
        armed = len(self.session.probes) if self.session is not None else 0
        if not armed or self.session is None or self.session.gone:
            self._switchboard.start(picked.target, self.suspend)
            return
        probes = "1 probe is" if armed == 1 else f"{armed} probes are"
        question = f"{probes} armed on {self.session.target.title}. Changing to {picked.target.title} disarms all."

        def answered(yes: bool | None) -> None:
            if yes:
                self._switchboard.start(picked.target, self.suspend)

        self.push_screen(ConfirmScreen(question, "change over"), answered)

    async def action_quit(self) -> None:
        """Disarm everything, then end; the screen stays alive meanwhile."""
        self._leave_soon()

    def _leave_soon(self) -> None:
        if not self._leaving:
            self._leaving = True
            self.run_worker(self._leave(), group="leaving")

    async def _leave(self) -> None:
        closing = asyncio.create_task(self._close(), name="leaving")
        done, _ = await asyncio.wait([closing], timeout=_PATIENCE)
        if not done:
            self.notify("the kernel takes a moment to let go", title="disarming…", markup=False, timeout=60)
            await asyncio.wait([closing])
        self.exit()
        closing.result()

    async def _close(self) -> None:
        await self._commands.close()
        await self._switchboard.close()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The command palette: whatever has a key, by its name."""
        bindings = {active.binding.id: active for active in screen.active_bindings.values() if active.enabled}
        for name, active in bindings.items():
            if name and name != "app.commands" and not name.startswith("rows."):
                binding = active.binding
                run = partial(self.run_action, binding.action, active.node)
                yield SystemCommand(f"{binding.description} ({keys_of(binding)})", binding.tooltip, run)

    def copy_to_clipboard(self, text: str) -> None:
        """Copy by OSC 52, and once more wrapped for tmux, which keeps the plain form to itself."""
        super().copy_to_clipboard(text)
        if "TMUX" in os.environ and self._driver is not None:
            code = base64.b64encode(text.encode()).decode()
            self._driver.write(f"\x1bPtmux;\x1b\x1b]52;c;{code}\x07\x1b\\")
