"""Typing a few letters: the function meant is on top, with its prototype and where its arguments live."""

from __future__ import annotations

import pytest
from textual.events import Key

from explorer.screens.targets import TargetsScreen
from tests.scripted_agent import FUNCTIONS, ScriptedAgent
from tests.tui.driving import LARGE, SMALL, running


async def test_few_letters_find_the_function_and_show_its_card() -> None:
    async with running() as driver:
        await driver.type("opnat2", "do_sys_openat2")
        await driver.until_shown("filename  const char *       si  +0x68", "#card")
        card = " ".join(driver.text("#card").replace("│", " ").split())
        assert "long do_sys_openat2(int dfd, const char *filename, struct open_how *how)" in card
        assert "exact, BTF" in card
        assert "return long ax +0x50" in card
        assert "can be probed by ftrace" in card


async def test_card_fits_a_small_terminal() -> None:
    async with running(size=SMALL) as driver:
        await driver.type("opnat2", "do_sys_openat2")
        await driver.until_shown("return", "#card")
        card = driver.text("#card")
        for words in ("dfd       int                di  +0x70", "struct open_how *  dx  +0x60", "can be probed"):
            assert words in card


async def test_names_can_be_searched_before_prototypes_are_known() -> None:
    agent = ScriptedAgent()
    prototypes = agent.hold("btf:vmlinux")
    async with running(agent, load=False) as driver:
        await driver.until(lambda: driver.browse.functions.row_count > len(FUNCTIONS))
        await driver.type("vfs_read", "vfs_read")
        assert "prototypes are loading" in driver.text("#card")
        assert "loading prototypes" in driver.screen()
        prototypes.set()
        await driver.until_shown("size_t count", "#card")


async def test_matched_letters_are_marked() -> None:
    async with running() as driver:
        await driver.type("opnat2", "do_sys_openat2")
        line = driver.browse.functions.render_line(0)
        marked = "".join(text for text, style, _ in line if style is not None and style.underline)
        assert marked == "opnat2"


async def test_a_query_that_finds_nothing_says_so() -> None:
    async with running() as driver:
        await driver.press(*"zzqqxx")
        await driver.until_shown("nothing like 'zzqqxx'", "#functions")
        assert driver.browse.card.symbol is None


async def test_the_screen_is_not_laid_out_for_a_query_nor_for_events() -> None:
    """It takes longer than drawing what has changed: keys would wait for it."""
    agent = ScriptedAgent()
    async with running(agent, size=LARGE) as driver:
        await driver.type("vfs_read", "vfs_read")
        await driver.press("enter", "space")
        await driver.until(lambda: agent.armed)
        agent.hit("vfs_read", [1, 2, 3, 4])
        await driver.until_shown("count=4", "#events")
        await driver.press("slash")
        await driver.until(lambda: driver.browse.search_box.has_focus)
        laid_out: list[object] = []
        driver.browse.screen_layout_refresh_signal.subscribe(driver.browse, laid_out.append)
        await driver.press("ctrl+u")
        await driver.type("opnat2", "do_sys_openat2")
        await driver.until_shown("filename", "#card")
        agent.hit("vfs_read", [1, 2, 3, 5], times=100)
        await driver.until_shown("count=5", "#events")
        assert laid_out == []


async def test_escape_clears_the_query_and_never_quits() -> None:
    async with running() as driver:
        await driver.type("tcp_sndmsg", "tcp_sendmsg")
        found = driver.browse.functions.row_count
        await driver.press("enter", "escape")
        assert driver.browse.focused is driver.browse.search_box
        assert driver.browse.search_box.value == "tcp_sndmsg"
        await driver.press("escape", "escape", "escape")
        await driver.until(lambda: driver.browse.functions.row_count > found)
        assert driver.browse.search_box.value == ""
        assert not driver.app._exit


async def test_letters_that_are_keys_elsewhere_are_text_in_the_search_box() -> None:
    async with running() as driver:
        await driver.press(*"qrzt12", "slash", "space", "p")
        assert driver.browse.search_box.value == "qrzt12/ p"


async def test_keys_typed_right_behind_enter_go_to_the_list() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.type("vfs_read", "vfs_read")
        search = driver.browse.search_box
        for key, character in (("enter", None), ("space", " ")):  # in one go, as a paste or a slow line delivers them
            driver.app.post_message(Key(key, character))
        await driver.until(lambda: agent.armed)
        assert search.value == "vfs_read"


@pytest.mark.parametrize(("key", "left"), [("backspace", "vfs_x"), ("ctrl+u", "x"), ("home", "xvfs_r")])
async def test_a_letter_right_behind_an_editing_key_comes_after_it(key: str, left: str) -> None:
    async with running() as driver:
        await driver.press(*"vfs_r")
        for pressed, character in ((key, None), ("x", "x")):
            driver.app.post_message(Key(pressed, character))
        await driver.until(lambda: "x" in driver.browse.search_box.value)
        await driver.pilot.pause()
        assert driver.browse.search_box.value == left


async def test_nothing_known_of_a_function_does_not_look_like_loading() -> None:
    async with running(size=LARGE) as driver:
        await driver.type("schedule", "schedule")
        card = driver.text("#card")
        assert "no prototype" in card
        assert "loading" not in card


async def test_a_key_right_behind_tab_is_for_the_next_pane() -> None:
    async with running(ScriptedAgent()) as driver:
        driver.app.post_message(Key("tab", "\t"))
        driver.app.post_message(Key("t", "t"))  # in one piece, as over a slow line
        await driver.until(lambda: isinstance(driver.app.screen, TargetsScreen))
        assert driver.browse.search_box.value == ""
