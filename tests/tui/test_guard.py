"""What the guard says of a probe is seen: its cost, that it is sampled or stopped; and what asks before it is armed."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from explorer.screens.browse import BrowseScreen
from explorer.screens.budget import BudgetScreen
from explorer.screens.confirm import ConfirmScreen
from tests.scripted_agent import ScriptedAgent
from tests.tui.driving import LARGE, SMALL, running

OPEN = "do_sys_openat2"
HOT = "schedule"


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_a_probe_s_cost_is_told_and_that_it_is_sampled_and_stopped(size: tuple[int, int]) -> None:
    agent = ScriptedAgent()
    async with running(agent, size=size) as driver:
        await driver.arm(agent, OPEN)
        await driver.press("4")
        agent.guard(OPEN, "running", rate=400.0, cost=0.0031)
        await driver.until_shown("4 probes · 1 · about 0.31% of a core, budget 2%")
        assert "by the guard" not in driver.screen()
        agent.guard(OPEN, "sampled", rate=2_100_000.0, cost=1.9, enabled=0.061, unseen=1_900_000)
        await driver.until_shown("sampled (61 ms of each second), ~2,100,000")
        assert "~2.1M" in driver.text("#probes")
        assert size == SMALL or f"{OPEN} sampled" in driver.text("#probes")
        assert "1 sampled by the guard" in driver.text("#status")
        agent.guard(OPEN, "stopped", rate=2_100_000.0, cost=1.9, enabled=0.0, unseen=1_900_000)
        await driver.until_shown("4 probes · 1 · stopped by the guard: ~2,100,000/s would")
        assert "1 stopped by the guard" in driver.text("#status")
        await driver.press("d")
        await driver.until(lambda: not agent.armed)
        await driver.until_shown("no probe is armed", "#probes")
        assert "by the guard" not in driver.text("#status")


async def test_the_card_tells_of_the_guard() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, OPEN)
        agent.guard(OPEN, "running", rate=400.0, cost=0.0031)
        await driver.until_shown("entry probe: about 0.31% of a core at 400 hits/s", "#card")


async def test_a_deadly_hot_function_asks_first() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.type(HOT, HOT)
        await driver.press("enter", "space")
        await driver.until(lambda: isinstance(driver.app.screen, ConfirmScreen))
        assert f"{HOT} is deadly hot" in driver.screen()
        await driver.press("n")
        await driver.until(lambda: isinstance(driver.app.screen, BrowseScreen))
        assert "arm" not in agent.requests
        await driver.press("space")
        await driver.until(lambda: isinstance(driver.app.screen, ConfirmScreen))
        await driver.press("y")
        await driver.until(lambda: agent.armed)
        await driver.press("space")  # disarming asks nothing
        await driver.until(lambda: not agent.armed)


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_the_budget_is_seen_and_changed_with_a_key(size: tuple[int, int]) -> None:
    agent = ScriptedAgent()
    async with running(agent, size=size) as driver:
        await driver.arm(agent, OPEN)
        await driver.press("4", "b")
        await driver.until(lambda: isinstance(driver.app.screen, BudgetScreen))
        await driver.until_shown("2% of a core for all; what costs more is sampled", "#meaning")
        line = driver.app.screen.query_one(Input)
        line.value = "2% of a core"
        await driver.until_shown("'of' is no part of a budget", "#meaning")
        await driver.press("enter")
        assert isinstance(driver.app.screen, BudgetScreen), "what is wrong is not applied"
        line.value = "5% 1500/s"
        await driver.until_shown("5% of a core for all and 1,500 hits/s for each", "#meaning")
        await driver.press("enter")
        await driver.until(lambda: agent.budgets == [(1500, 0.05)])
        agent.guard(OPEN, "running", rate=400.0, cost=0.0031)
        await driver.until_shown("about 0.31% of a core, budget 5% 1500/s")
