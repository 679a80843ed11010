"""``--for`` and what dead sessions left, as they are seen."""

from __future__ import annotations

import pytest

from explorer.session.probe import ProbeState
from explorer.session.time_limit import TimeLimit
from tests.scripted_agent import ScriptedAgent
from tests.tui.driving import LARGE, SMALL, running

OPEN = "do_sys_openat2"


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_the_time_left_is_seen_and_its_end_told(size: tuple[int, int]) -> None:
    agent = ScriptedAgent()
    async with running(agent, size=size, limit=TimeLimit.parse("2h")) as driver:
        await driver.arm(agent, OPEN)
        assert 7100 < agent.deadlines[0] <= 7200
        assert "1:59:" in driver.text("#status")
        agent.expire()
        assert size == SMALL or "4 probes" in driver.screen()
        await driver.until_shown("the time (2h) is over: everything is disarmed")
        assert driver.app.session is not None
        [probe] = driver.app.session.probes.values()
        assert (probe.state, probe.number, probe.counters.hits) == (ProbeState.DISARMED, None, 7)
        await driver.press("4", "d")
        await driver.until(lambda: not driver.app.session or not driver.app.session.probes)
        assert "disarm" not in agent.requests


async def test_what_a_dead_session_left_is_removed_and_told() -> None:
    agent = ScriptedAgent()
    agent.leftovers = ["kexplore_7_8"]
    async with running(agent) as driver:
        await driver.until_shown("removed what a dead session had left armed: kexplore_7_8")
        assert agent.requests.count("clean") == 1


async def test_a_kernel_without_leftovers_is_not_asked_to_clean() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, OPEN)
        assert "clean" not in agent.requests
