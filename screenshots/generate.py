"""Makes the screenshots of the README: drives the program over a recorded session and saves what it shows as SVG.

Run by ``make screenshots``. No picture is taken by hand, so that each shows what the program does now. The session was
recorded on the lab's kernel by ``record.py`` (``make recording``); only the refusal is this machine's own.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import sys
import time
from collections.abc import Callable

# Read when Textual is imported: what a picture shows must not depend on the terminal that it is made in.
os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
os.environ.pop("NO_COLOR", None)

from textual.pilot import Pilot

from explorer.app import KexploreApp
from explorer.screens.browse import BrowseScreen
from explorer.screens.help import HelpScreen
from explorer.screens.inspector import InspectorScreen
from explorer.screens.targets import TargetsScreen
from explorer.screens.types import TypesScreen
from explorer.session.loading import Stage
from explorer.session.recording import ReplayTarget
from explorer.session.target import LabTarget, LocalTarget

LARGE, SMALL = (120, 40), (80, 24)
PATIENCE = 60.0
"""Seconds; events come at the pace at which they were recorded."""
RECORDING = pathlib.Path(__file__).with_name("session.kxr")
FUNCTION = "do_sys_openat2"


class Photographer:
    """Drives one running program and saves pictures of it."""

    def __init__(self, app: KexploreApp, pilot: Pilot[None], folder: pathlib.Path) -> None:
        assert isinstance(app.screen, BrowseScreen)
        self.app, self.pilot, self.browse, self._folder = app, pilot, app.screen, folder

    async def until(self, what: str, condition: Callable[[], object]) -> None:
        """Wait for something to be on the screen."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {PATIENCE:.0f} s for {what}")
            await self.pilot.pause(0.05)

    async def loaded(self) -> None:
        """Wait until everything about the kernel is known."""
        await self.until("the kernel's facts", lambda: self.app.session and self.app.session.loading.done == set(Stage))

    async def search(self, query: str) -> None:
        """Type a query that finds the function."""
        await self.pilot.press(*query)
        await self.until(FUNCTION, lambda: (found := self.browse.functions.selected) and found.name == FUNCTION)

    async def stream(self) -> None:
        """Arm both probes and wait for a pane full of events."""
        await self.pilot.press("enter", "space", "r")
        events = self.browse.events
        await self.until("events", lambda: events.row_count > 2 * events.size.height)

    async def save(self, name: str) -> None:
        """Save what is on the screen."""
        await self.pilot.pause()
        # Spaces as such: some viewers collapse the no-break spaces that the export writes, or stretch them.
        svg = self.app.export_screenshot(title="kexplore").replace("&#160;", " ")
        path = self._folder / f"{name}.svg"
        path.write_text(svg.replace("<text ", '<text xml:space="preserve" '), encoding="utf-8")
        print(path.name, file=sys.stderr)


async def session_pictures(folder: pathlib.Path) -> None:
    """Search, events, inspector and help at 120x40; then events at 80x24."""
    app = KexploreApp(ReplayTarget(RECORDING))
    async with app.run_test(size=LARGE, notifications=True) as pilot:
        camera = Photographer(app, pilot, folder)
        await camera.loaded()
        await camera.search("opnat2")
        await camera.save("search")
        await camera.stream()
        await camera.save("events")
        await pilot.press("5", "p")
        await pilot.press("enter")
        await camera.until("the inspector", lambda: isinstance(app.screen, InspectorScreen))
        await camera.save("inspector")
        await pilot.press("escape", "question_mark")
        await camera.until("help", lambda: isinstance(app.screen, HelpScreen))
        await camera.save("help")
        await pilot.press("escape", "f", "2")
        await pilot.resize_terminal(*SMALL)
        await camera.save("events-80x24")
        await leave(camera)


async def types_picture(folder: pathlib.Path) -> None:
    """A file's path, and by its pointer the dentry, with members opened in both."""
    app = KexploreApp(ReplayTarget(RECORDING))
    async with app.run_test(size=LARGE, notifications=True) as pilot:
        camera = Photographer(app, pilot, folder)
        await camera.loaded()
        await pilot.press(*"t:file")
        await camera.until("the type browser", lambda: isinstance(app.screen, TypesScreen) and app.screen.ready)
        assert isinstance(app.screen, TypesScreen)
        browser = app.screen
        await camera.until("struct file", lambda: (found := browser.types.selected) and found.path == "file")
        await pilot.press("enter", "enter")
        for path in ("file->f_path", "file->f_path.dentry", "file->f_path.dentry->d_name"):
            assert browser.members.tree_shown is not None
            rows = [node.path for node in browser.members.tree_shown.rows]
            browser.members.move_cursor(rows.index(path))
            await pilot.press("enter")
        await camera.save("types")
        await leave(camera)


async def refusal_picture(folder: pathlib.Path) -> None:
    """This machine's kernel and the offer of the lab; only where it cannot be probed."""
    app = KexploreApp(LocalTarget(), [LocalTarget(), LabTarget()])
    async with app.run_test(size=LARGE) as pilot:
        camera = Photographer(app, pilot, folder)
        await camera.loaded()
        session = app.session
        if session is not None and session.hello is not None and not session.hello.can_probe:
            await camera.search("opnat2")
            await camera.save("cannot-probe")
            await pilot.press("enter", "t")
            await camera.until("the switcher", lambda: isinstance(app.screen, TargetsScreen))
            await camera.save("targets")
        await leave(camera)


async def leave(camera: Photographer) -> None:
    """End the program as a user would, and wait for the kernel to be let go."""
    await camera.app.action_quit()
    await camera.until("the end", lambda: not camera.app.is_running or camera.app._exit)


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    asyncio.run(session_pictures(here))
    asyncio.run(types_picture(here))
    asyncio.run(refusal_picture(here))
