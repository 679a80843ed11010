"""The call stacks of an event in the inspector."""

from __future__ import annotations

import pytest

from explorer.screens.inspector import InspectorScreen
from explorer.session.stacks import MOST_FRAMES
from explorer.widgets.stack_view import StackView
from tests.scripted_agent import ScriptedAgent, address
from tests.tui.driving import LARGE, SMALL, Driver, running

READ, VALUES = "vfs_read", [0xFFFF888000001000, 0x7F0000001000, 4096, 0]
CALLERS = [address(READ), address("do_sys_openat2") + 0x12, address("schedule") + 0x40]
PROCESS = [0x7F00DEAD0010, 0x401136]


async def _inspect(driver: Driver, agent: ScriptedAgent, kernel: list[int], user: list[int]) -> None:
    """Arm with both stacks, have a hit without and one with them, and inspect the latter."""
    await driver.arm(agent, READ)
    agent.hit(READ, [*VALUES])
    await driver.press("4", "s")
    await driver.until_shown("with the kernel's stack", "#probes")
    await driver.press("s")
    await driver.until_shown("with the kernel's and", "#probes")
    agent.hit(READ, [*VALUES], stacks=(kernel, user), registers={"di": VALUES[0]})
    await driver.until(lambda: driver.browse.events.row_count == 2)
    await driver.press("5", "enter")
    await driver.until(lambda: isinstance(driver.app.screen, InspectorScreen))


@pytest.mark.parametrize("size", [LARGE, SMALL], ids=["120x40", "80x24"])
async def test_the_inspector_shows_both_stacks_of_an_event_that_has_them(size: tuple[int, int]) -> None:
    agent = ScriptedAgent()
    async with running(agent, size=size) as driver:
        await _inspect(driver, agent, CALLERS, [*PROCESS, 0])
        if size == SMALL:
            await driver.until_shown("0xffff888000001000", "#registers")
            assert not driver.app.screen.query_one(StackView).display, "the registers fill a small terminal"
        await driver.press("s")
        await driver.until_shown("vfs_read", "#stacks")
        lines = [line.split() for line in driver.text("#stacks").splitlines()]
        assert [line[1:] for line in lines if line[:1] in (["0"], ["1"], ["2"])] == [
            [f"{CALLERS[0]:#018x}", "vfs_read"],
            [f"{CALLERS[1]:#018x}", "do_sys_openat2+0x12"],
            [f"{CALLERS[2]:#018x}", "schedule+0x40"],
            [f"{PROCESS[0]:#018x}"],
            [f"{PROCESS[1]:#018x}"],
        ]
        await driver.press("y")
        assert "do_sys_openat2+0x12" in driver.app.clipboard
        await driver.press("p")  # an event without stacks: back to its registers
        await driver.until(lambda: driver.app.screen.focused is driver.app.screen.query_one("#registers"))
        assert not driver.app.screen.query_one(StackView).display
        assert "Stacks" not in driver.text("#keys")


@pytest.mark.parametrize("size", [LARGE, SMALL], ids=["120x40", "80x24"])
async def test_a_deep_stack_scrolls_and_says_that_it_may_be_cut(size: tuple[int, int]) -> None:
    agent = ScriptedAgent()
    async with running(agent, size=size) as driver:
        deep = [address("schedule") + number for number in range(MOST_FRAMES)]
        await _inspect(driver, agent, deep, [])
        await driver.press("s")
        await driver.until_shown("kernel  127 frames", "#stacks")
        assert "126" not in driver.text("#stacks")
        await driver.press("G")
        await driver.until_shown("schedule+0x7e", "#stacks")
        await driver.until_shown("127 frames are the most", "#stacks")
        await driver.until_shown("process  no stack could be read", "#stacks")
