"""Both sizes: every pane can be reached and read; help is made from the bindings; no colour is needed."""

from __future__ import annotations

from functools import partial

import pytest
from textual.binding import Binding
from textual.widget import Widget

from explorer.app import KexploreApp
from explorer.screens.browse import BrowseScreen
from explorer.screens.help import HelpScreen, HelpText, sections_of
from explorer.screens.inspector import InspectorScreen
from explorer.screens.panes import PANES
from explorer.screens.targets import TargetList, TargetsScreen
from explorer.widgets.event_pane import EventPane
from explorer.widgets.function_card import FunctionCard
from explorer.widgets.function_list import FunctionList
from explorer.widgets.line_view import LineView
from explorer.widgets.probe_list import ProbeList
from explorer.widgets.search_box import SearchBox
from tests.scripted_agent import AT_FDCWD, ScriptedAgent
from tests.tui.driving import LARGE, SMALL, running


def _readable(pane: Widget) -> bool:
    return pane.size.height >= (1 if pane.id == "search" else 2)


@pytest.mark.parametrize("size", [LARGE, SMALL, (60, 15)])
async def test_every_pane_is_reached_by_its_number_and_by_tab(size: tuple[int, int]) -> None:
    async with running(size=size) as driver:
        await driver.press("enter")
        for number, pane in reversed(list(enumerate(PANES, start=1))):
            await driver.press(str(number))
            widget = driver.browse.focused
            assert widget is not None
            assert widget.id == pane
            await driver.until(partial(_readable, widget))
        seen = {driver.browse.focused.id} if driver.browse.focused else set()
        for _ in range(len(PANES) - 1):
            await driver.press("tab")
            seen.add(driver.browse.focused.id if driver.browse.focused else None)
        assert seen == set(PANES)


@pytest.mark.parametrize("size", [LARGE, SMALL])
@pytest.mark.parametrize("number", [2, 3, 4, 5])
async def test_zoom_gives_a_pane_the_screen_and_escape_takes_it_back(size: tuple[int, int], number: int) -> None:
    async with running(size=size) as driver:
        await driver.press("enter", str(number), "z")
        pane = driver.browse.query_one(f"#{PANES[number - 1]}")
        await driver.until(lambda: pane.size.height >= size[1] - 5 and pane.size.width >= size[0] - 5)
        await driver.press("escape")
        await driver.until(lambda: pane.size.height < size[1] - 5)
        assert driver.browse.focused is pane


async def test_probes_are_one_line_in_a_small_terminal_until_they_have_the_focus() -> None:
    agent = ScriptedAgent()
    async with running(agent, size=SMALL) as driver:
        await driver.arm(agent, "vfs_read")
        agent.count("vfs_read", hits=12, missed=3)
        await driver.until_shown("4 probes: 1 armed · 12 hits", "#probes")
        assert "3 missed" in driver.text("#probes")
        assert driver.browse.probes.size.height == 1
        await driver.press("4")
        await driver.until(lambda: driver.browse.probes.size.height > 5)
        await driver.press("3")
        await driver.until(lambda: driver.browse.probes.size.height == 1 and driver.browse.card.size.height > 5)


async def test_too_small_a_terminal_is_told() -> None:
    async with running(size=(50, 20)) as driver:
        await driver.until_shown("kexplore needs 60 columns and 15 rows")


async def test_help_is_made_from_the_bindings_the_focused_pane_first() -> None:
    async with running(size=LARGE) as driver:
        await driver.press("enter", "5", "question_mark")
        await driver.until(lambda: isinstance(driver.app.screen, HelpScreen))
        sections = sections_of(driver.browse)
        assert sections[0][0] == "events (focused)"
        help_text = driver.app.screen.query_one(HelpText)
        await driver.until(lambda: help_text.row_count > 0)
        text = "\n".join("".join(s.text for s in help_text.draw_row(row, 80)) for row in range(help_text.row_count))
        words = " ".join(text.split())
        for _, bindings in sections:
            for binding in bindings:
                assert " ".join(binding.tooltip.split()[:4]) in words
        await driver.press("escape")
        await driver.until(lambda: driver.app.screen is driver.browse)


def test_every_binding_has_a_name_of_its_own_and_says_what_it_does() -> None:
    holders = (
        KexploreApp, BrowseScreen, InspectorScreen, TargetsScreen, SearchBox, FunctionList, FunctionCard, ProbeList,
        EventPane, LineView, TargetList,
    )  # fmt: skip
    bindings = [binding for holder in holders for binding in holder.__dict__["BINDINGS"]]
    assert all(isinstance(binding, Binding) and binding.id and binding.tooltip for binding in bindings)
    names = [binding.id for binding in bindings]
    assert len(set(names)) == len(names)
    taken = {"ctrl+s", "ctrl+b", "ctrl+a"}  # by flow control, tmux and screen
    assert not taken & {key for binding in bindings for key in binding.key.split(",")}


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_footer_shows_the_keys_of_the_focused_pane(size: tuple[int, int]) -> None:
    async with running(size=size) as driver:
        await driver.until_shown("Enter List", "#keys")
        assert "q Quit" not in driver.text("#keys")
        await driver.press("enter")
        await driver.until_shown("Space Probe", "#keys")
        assert driver.text("#keys").endswith("? Help  q Quit")


async def test_without_colours_the_cursor_is_reverse_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.type("vfs_read", "vfs_read")
        await driver.press("enter")
        await driver.until(lambda: driver.browse.functions.has_focus)
        chosen, other = driver.browse.functions.render_line(0), driver.browse.functions.render_line(1)
        assert all(style is not None and style.reverse for _, style, _ in chosen)
        assert not any(style is not None and style.reverse for _, style, _ in other)


async def test_a_flood_is_drawn_a_few_times_a_second() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, "do_sys_openat2")
        drawn = 0
        renew = driver.browse.events.renew

        def counted() -> None:
            nonlocal drawn
            drawn += 1
            renew()

        driver.browse.events.renew = counted  # type: ignore[method-assign]
        for number in range(500):
            agent.hit("do_sys_openat2", [AT_FDCWD, 1, f"/{number}", 0])
        await driver.until_shown("/499", "#events")
        assert drawn < 50
