"""Running a command from the program: its tree is looked at, its output and its end shown; it ends with the program."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.widgets import Input

from explorer.agent import protocol
from explorer.screens.command import CommandScreen
from explorer.session.command_relay import CommandRelay
from explorer.session.running_command import RunningCommand
from tests.scripted_agent import ScriptedAgent, ScriptedTarget
from tests.tui.driving import LARGE, SMALL, Driver, running


async def run(driver: Driver, line: str) -> None:
    """Type a command line from the search box, where the program begins."""
    await driver.press("!")
    await driver.until(lambda: isinstance(driver.app.screen, CommandScreen))
    driver.app.screen.query_one(Input).value = line
    await driver.press("enter")


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_its_output_and_its_exit_code_are_shown_and_only_it_is_looked_at(size: tuple[int, int]) -> None:
    agent = ScriptedAgent()
    async with running(agent, size=size) as driver:
        await run(driver, "echo $$; printf '\\033[31mred[/]\\n' >&2; exit 3")
        await driver.until_shown("ended with 3")
        shown = driver.text("#output").splitlines()
        [pid] = agent.focus[0]
        assert shown[1].strip() == str(pid), "what is looked at is the command, from before it began"
        assert shown[2].strip() == "\\x1b[31mred[/]"
        # The next line is asked for; an empty one looks at everybody again.
        await driver.until(lambda: not driver.app.screen.query_one(Input).disabled)
        driver.app.screen.query_one(Input).value = ""
        await driver.press("enter")
        await driver.until(lambda: agent.focus[-1] == [])
        await driver.until_shown("everybody's calls are recorded again")


async def test_it_runs_on_while_the_screen_is_closed_and_is_stopped_by_a_key() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await run(driver, "sh -c 'trap \"\" TERM; echo deaf; sleep 1000'; echo never")
        await driver.until_shown("deaf", "#output")
        [pid] = agent.focus[0]
        await driver.press("escape")
        await driver.until(lambda: not isinstance(driver.app.screen, CommandScreen))
        assert lives(pid)
        await driver.press("!")
        await driver.until_shown("deaf", "#output")
        await driver.press("s", "s")
        await driver.until_shown("ended with 1")
        await driver.until(lambda: not lives(pid))


class SlowTarget(ScriptedTarget):
    """Starting a command takes it a while."""

    async def run(self, argv: Sequence[str]) -> RunningCommand:
        await asyncio.sleep(0.3)
        return await super().run(argv)


async def test_while_one_starts_no_other_can_be_asked_for() -> None:
    target = SlowTarget(ScriptedAgent())
    async with running(first=target) as driver:
        await run(driver, "sleep 1000")
        await driver.press("enter")
        await driver.until(lambda: target.agent.focus)
        assert len(target.agent.focus) == 1
        await driver.press("s")
        await driver.until_shown("ended with 143")


class VanishingTarget(ScriptedTarget):
    """Its guest is gone as soon as it has started a command."""

    async def run(self, argv: Sequence[str]) -> RunningCommand:
        ours, theirs = socket.socketpair()
        relay = CommandRelay(*await asyncio.open_connection(sock=ours))
        with theirs:
            theirs.send(protocol.encode({"op": "started", "id": 1, "pid": 5}))
            return await relay.run(argv)


async def test_a_command_that_goes_with_its_kernel_is_said_to_be_lost() -> None:
    async with running(first=VanishingTarget(ScriptedAgent())) as driver:
        await run(driver, "sleep 1000")
        await driver.until_shown("was lost with its kernel")
        assert "lost with its kernel" in str(driver.app.screen.query_one("#box").border_subtitle)


async def test_leaving_the_program_ends_it() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await run(driver, "echo begun; sleep 1000 & sleep 1000")
        await driver.until_shown("begun", "#output")
        [pid] = agent.focus[0]
    await agent.ended.wait()
    assert not lives(pid)
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)


async def test_what_cannot_be_run_is_told() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await run(driver, "/nonexistent/program")
        await driver.until_shown("ended with 127")
        assert "No such file" in driver.text("#output")
        driver.app.screen.query_one(Input).value = "echo 'open"
        await driver.press("enter")
        await driver.until_shown("is no command line")
    target = ScriptedTarget(ScriptedAgent(), "snapshot")
    target.runs_commands = False
    async with running(first=target) as driver:
        await run(driver, "true")
        await driver.until_shown("no command can be run on the snapshot")
        assert target.agent.focus == []
