"""Whole calls on the screen: one key arms both ends, a call is one line, latency and alarm are told."""

from __future__ import annotations

import pytest

from explorer.session.probe_spec import ProbeSpec
from tests.scripted_agent import ScriptedAgent
from tests.tui.driving import LARGE, SMALL, Driver, running

OPEN = "do_sys_openat2"
FRAME = 0xFFFFC90000003F00
ARGUMENTS: list[int | str | None] = [-100, 0x7F0000001000, "/etc/hosts", 0xFFFFC90000003E00]


async def armed(driver: Driver, agent: ScriptedAgent) -> None:
    await driver.type(OPEN, OPEN)
    await driver.press("enter", "b")
    await driver.until(lambda: len(agent.armed) == 2)


def enter(agent: ScriptedAgent, frame: int = FRAME, pid: int = 154) -> None:
    agent.hit(OPEN, [*ARGUMENTS, frame], pid=pid)


def leave(agent: ScriptedAgent, result: int, frame: int = FRAME, pid: int = 154) -> None:
    agent.hit(OPEN, [result, frame + 8], kind="return", pid=pid)


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_a_call_is_one_line_with_its_latency_result_and_arguments(size: tuple[int, int]) -> None:
    agent = ScriptedAgent()
    async with running(agent, size=size) as driver:
        await armed(driver, agent)
        enter(agent)
        leave(agent, 3)
        enter(agent)
        leave(agent, -2)
        await driver.until_shown("return=-ENOENT", "#events")
        lines = [line for line in driver.text("#events").splitlines() if OPEN[:8] in line]
        assert len(lines) == 2
        assert "1.50ms return=3 dfd=AT_FDCWD" in lines[0]
        await driver.press("4")
        await driver.until_shown("p50 1.50ms p95 1.50ms max 1.50ms")
        rows = driver.text("#probes").splitlines()
        assert any(f"↔ {OPEN}" in row and " 2 " in row for row in rows)
        assert any("└← returns" in row and " 2 " in row for row in rows)


async def test_the_card_has_a_histogram_and_what_became_of_the_calls() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await armed(driver, agent)
        enter(agent)
        enter(agent)  # its frame was left without a return
        leave(agent, 3)
        await driver.until_shown("calls: 1 seen whole, 1 without a return", "#card")
        await driver.until_shown("p50 1.50ms", "#card")
        assert "≥ 1.05ms     1 █" in driver.text("#card")
        await driver.until_shown("its thread has left it", "#events")


async def test_the_inspector_shows_the_registers_at_the_entry() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await armed(driver, agent)
        agent.hit(OPEN, [*ARGUMENTS, FRAME], registers={"di": 0xFFFFFF9C})
        agent.hit(OPEN, [3, FRAME + 8], kind="return", registers={"ax": 3})
        await driver.until_shown("return=3", "#events")
        await driver.press("5", "enter")
        await driver.until_shown("took 1.50ms")
        await driver.until_shown("registers: at its entry")
        await driver.until_shown("0x00000000ffffff9c")


async def test_b_again_disarms_both_and_tells_what_has_not_returned() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await armed(driver, agent)
        enter(agent)
        await driver.until_shown("calls: 0 seen whole, 1 under way", "#card")
        await driver.press("b")
        await driver.until(lambda: not agent.armed)
        await driver.until_shown("no return so far", "#events")


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_missed_returns_are_an_alarm_and_m_arms_anew(size: tuple[int, int]) -> None:
    agent = ScriptedAgent()
    async with running(agent, size=size) as driver:
        await armed(driver, agent)
        await driver.press("4")
        agent.count(OPEN, hits=20)
        agent.count(OPEN, kind="return", hits=8, missed=12)
        await driver.until_shown("ALARM 12 returns missed")
        assert "m: follow 128" in driver.screen()
        await driver.press("m")
        await driver.until(lambda: [p["maxactive"] for p in agent.armed.values()] == [0, 128])
        await driver.until(lambda: "ALARM" not in driver.screen())


async def test_a_filter_asks_each_end_what_it_knows() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await armed(driver, agent)
        await driver.press("4", "f")
        await driver.press(*"dfd == -100 && return < 0")
        await driver.until_shown("✓ filtered by the kernel")
        await driver.press("enter")
        await driver.until(lambda: len(agent.filters) == 2)
        entry, returns = agent.filters[agent.number(OPEN)], agent.filters[agent.number(OPEN, "return")]
        assert entry == {"kernel": [["==", ["value", 0], -100]], "agent": []}
        assert returns == {"kernel": [["<", ["value", 0], 0]], "agent": []}
        session = driver.app.session
        assert session is not None
        chosen = session.probes[ProbeSpec.parse(f"{OPEN}%call")].filter
        assert chosen is not None
        assert chosen.text == "dfd == -100 && return < 0"
