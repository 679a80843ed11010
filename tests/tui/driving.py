"""Runs the program over a scripted agent, presses its keys and reads its panes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable

from textual.geometry import Region
from textual.pilot import Pilot
from textual.widget import Widget

from explorer.app import KexploreApp
from explorer.screens.browse import BrowseScreen
from explorer.session.loading import Stage
from explorer.session.target import Target
from explorer.session.time_limit import TimeLimit
from tests.scripted_agent import ScriptedAgent, ScriptedTarget

LARGE, SMALL = (120, 40), (80, 24)
PATIENCE = 60.0
"""Seconds after which a test gives up waiting."""


class Driver:
    """A running program."""

    def __init__(self, app: KexploreApp, pilot: Pilot[None], browse: BrowseScreen) -> None:
        self.app, self.pilot, self.browse = app, pilot, browse

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something to become true."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "it never happened; the screen:\n" + self.screen()
            await self.pilot.pause(0.01)

    async def until_shown(self, words: str, selector: str = "") -> None:
        """Wait for words to stand in a pane, or anywhere on the screen."""
        await self.until(lambda: words in (self.text(selector) if selector else self.screen()))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, query: str, top: str) -> None:
        """Type a query, and wait for its best match."""
        await self.press(*query)
        await self.until(lambda: (selected := self.browse.functions.selected) is not None and selected.name == top)

    async def loaded(self) -> None:
        await self.until(lambda: self.app.session is not None and self.app.session.loading.done == set(Stage))

    async def arm(self, agent: ScriptedAgent, name: str, kind: str = "entry") -> None:
        """Type the name of a function and arm it."""
        await self.press("slash", "escape")
        await self.type(name, name)
        await self.press("enter", "space" if kind == "entry" else "r")
        await self.until(lambda: any(p["symbol"] == name and p["kind"] == kind for p in agent.armed.values()))

    def text(self, selector: str) -> str:
        """What a pane of the screen on top shows."""
        widget = self.app.screen.query_one(selector)
        return "\n".join(_lines(widget))

    def screen(self) -> str:
        """All that is on the screen, as a terminal would show it."""
        width, height = self.app.size
        lines = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in lines[:height])[: (width + 1) * height]


def _lines(widget: Widget) -> list[str]:
    strips = widget.render_lines(Region(0, 0, widget.outer_size.width, widget.outer_size.height))
    return [strip.text.rstrip() for strip in strips]


@contextlib.asynccontextmanager
async def running(
    agent: ScriptedAgent | None = None,
    *others: Target,
    first: Target | None = None,
    size: tuple[int, int] = LARGE,
    load: bool = True,
    limit: TimeLimit | None = None,
) -> AsyncIterator[Driver]:
    """The program, looking at the kernel of a scripted agent, or at ``first``; left in the end."""
    target = first or ScriptedTarget(agent or ScriptedAgent(), "this machine")
    app = KexploreApp(target, [target, *others], limit)
    async with app.run_test(size=size, notifications=True) as pilot:
        assert isinstance(app.screen, BrowseScreen)
        driver = Driver(app, pilot, app.screen)
        try:
            if load:
                await driver.loaded()
            yield driver
        finally:
            await app.action_quit()
            await driver.until(lambda: app._exit)
