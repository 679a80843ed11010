"""Which kernel is looked at: one that cannot be probed, another one instead, one that fails, one that dies."""

from __future__ import annotations

import asyncio
import weakref

from explorer.screens.confirm import ConfirmScreen
from explorer.screens.targets import TargetsScreen
from symbols.errors import KexploreError
from tests.scripted_agent import ScriptedAgent, ScriptedTarget
from tests.tui.driving import SMALL, running


async def test_kernel_that_cannot_be_probed_says_why_and_offers_the_lab() -> None:
    agent = ScriptedAgent()
    agent.cannot_probe(hint="boot a kernel that has it")
    lab = ScriptedTarget(ScriptedAgent(), "lab")
    async with running(agent, lab, size=SMALL) as driver:
        pane = driver.text("#events")
        assert "Nothing can be probed here: CONFIG_KPROBES is not set" in pane
        assert "boot a kernel that has it" in pane
        assert "try it in the lab" in pane
        assert "cannot be probed: CONFIG_KPROBES is not set" in driver.text("#status")
        await driver.type("vfs_read", "vfs_read")
        await driver.press("enter", "space")
        await driver.until_shown("t: look at another kernel")
        assert "arm" not in agent.requests
        await driver.press("t")
        await driver.until(lambda: isinstance(driver.app.screen, TargetsScreen))
        await driver.press("enter")
        await driver.until(lambda: driver.app.session is not None and driver.app.session.target is lab)
        await driver.loaded()
        await driver.until(agent.ended.is_set)
        await driver.until(lambda: driver.app.screen is driver.browse)
        assert driver.browse.search_box.value == "vfs_read"
        await driver.until_shown("vfs_read", "#functions")
        await driver.press("space")
        await driver.until(lambda: lab.agent.armed)


async def test_nothing_of_a_kernel_stays_in_memory_when_another_is_looked_at() -> None:
    lab = ScriptedTarget(ScriptedAgent(), "lab")
    async with running(None, lab, size=SMALL) as driver:
        assert driver.app.session is not None
        before = weakref.ref(driver.app.session)
        await driver.press("enter", "t")
        await driver.until(lambda: isinstance(driver.app.screen, TargetsScreen))
        await driver.press("enter")
        await driver.until(lambda: driver.app.session is not None and driver.app.session.target is lab)
        await driver.loaded()
        await driver.until(lambda: before() is None)


async def test_enter_on_the_empty_pane_of_such_a_kernel_opens_the_switcher() -> None:
    agent = ScriptedAgent()
    agent.cannot_probe()
    async with running(agent) as driver:
        await driver.press("enter", "5", "enter")
        await driver.until(lambda: isinstance(driver.app.screen, TargetsScreen))


async def test_progress_is_shown_and_escape_goes_back() -> None:
    never = asyncio.Event()
    lab = ScriptedTarget(ScriptedAgent(), "lab", ("fetching the kernel", "booting"), never)
    async with running(None, lab) as driver:
        first = driver.app.session
        await driver.press("enter", "t", "enter")
        await driver.until_shown("booting", "#log")
        assert "fetching the kernel" in driver.text("#log")
        await driver.press("b")
        await driver.until(lambda: driver.app.screen is driver.browse)
        assert "lab: booting" in driver.text("#status")
        await driver.press("t")
        await driver.until(lambda: isinstance(driver.app.screen, TargetsScreen))
        await driver.press("escape")
        await driver.until(lambda: not driver.app._switchboard.attempt.running)  # type: ignore[union-attr]
        assert driver.app.session is first
        assert "lab: booting" not in driver.browse.status.render_line(0).text


async def test_target_that_fails_says_why_and_the_old_one_stays() -> None:
    lab = ScriptedTarget(ScriptedAgent(), "lab")
    lab.failure = KexploreError("no kernel to boot", "apt-get update")
    async with running(None, lab) as driver:
        first = driver.app.session
        await driver.press("enter", "t", "enter")
        await driver.until_shown("no kernel to boot", "#log")
        assert "apt-get update" in driver.text("#log")
        await driver.press("escape")
        await driver.until(lambda: driver.app.screen is driver.browse)
        assert driver.app.session is first


async def test_changing_over_with_armed_probes_asks_first() -> None:
    agent = ScriptedAgent()
    lab = ScriptedTarget(ScriptedAgent(), "lab")
    async with running(agent, lab) as driver:
        await driver.arm(agent, "vfs_read")
        await driver.press("t")
        await driver.until(lambda: isinstance(driver.app.screen, TargetsScreen))
        await driver.press("enter")
        await driver.until(lambda: isinstance(driver.app.screen, ConfirmScreen))
        await driver.until_shown("1 probe is armed on this machine")
        await driver.press("n")
        await driver.until(lambda: isinstance(driver.app.screen, TargetsScreen))
        assert agent.armed
        await driver.press("enter")
        await driver.until(lambda: isinstance(driver.app.screen, ConfirmScreen))
        await driver.press("y")
        await driver.until(agent.ended.is_set)
        await driver.until(lambda: driver.app.session is not None and driver.app.session.target is lab)


async def test_agent_that_dies_is_told_and_can_be_reached_again() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, "vfs_read")
        agent.die()
        await driver.until_shown("the agent is gone", "#status")
        assert "the agent is gone" in driver.text("#events")
        assert "not armed any more" in driver.text("#probes")
        first = driver.app.session
        await driver.press("t")
        await driver.until(lambda: isinstance(driver.app.screen, TargetsScreen))
        await driver.press("enter")
        await driver.until(lambda: driver.app.session is not first)
        await driver.loaded()
        await driver.until_shown("can be probed", "#status")


async def test_first_target_that_cannot_be_reached_says_why() -> None:
    failing = ScriptedTarget(ScriptedAgent(), "lab")
    failing.failure = KexploreError("QEMU is not installed", "apt-get install qemu-system-x86")
    async with running(first=failing, size=SMALL, load=False) as driver:
        await driver.until_shown("lab cannot be reached: QEMU is not installed", "#events")
        assert "apt-get install qemu-system-x86" in driver.text("#events")
