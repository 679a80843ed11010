"""Leaving: everything is disarmed, by whatever way, and what could not be is told."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from explorer.app import KexploreApp
from tests.scripted_agent import ScriptedAgent, ScriptedTarget
from tests.tui.driving import running


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_quitting_says_farewell_to_the_agent(key: str) -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, "vfs_read")
        await driver.press(key)
        await driver.until(agent.ended.is_set)
        assert agent.requests[-1] == "quit"
        await driver.until(lambda: driver.app._exit)


async def test_control_c_leaves_from_the_search_box_and_from_help() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.press("question_mark", "ctrl+c")
        await driver.until(agent.ended.is_set)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_signals_end_it_as_cleanly(number: signal.Signals) -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, "vfs_read")
        os.kill(os.getpid(), number)
        await driver.until(agent.ended.is_set)
        assert agent.requests[-1] == "quit"
        await driver.until(lambda: driver.app._exit)


async def test_slow_disarming_is_told() -> None:
    agent = ScriptedAgent()
    agent.farewell.clear()
    async with running(agent) as driver:
        await driver.press("enter", "q")
        await driver.until_shown("disarming…")
        assert not driver.app._exit
        agent.farewell.set()
        await driver.until(lambda: driver.app._exit)


async def test_what_is_left_behind_is_handed_to_the_caller() -> None:
    agent = ScriptedAgent()
    agent.left = ["kexplore_1_2"]
    async with running(agent) as driver:
        pass
    assert driver.app.left_behind == ["kexplore_1_2"]


async def test_leaving_while_the_first_target_is_being_reached() -> None:
    target = ScriptedTarget(ScriptedAgent(), "lab", ("booting",), asyncio.Event())
    app = KexploreApp(target, [target])
    async with app.run_test() as pilot:
        while app._switchboard.attempt is None:
            await pilot.pause()
        await pilot.press("ctrl+c")
        while not app._exit:
            await pilot.pause()
    assert app.left_behind == []
