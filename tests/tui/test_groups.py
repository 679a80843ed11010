"""Groups on the screen: marked or listed, told first, armed beside it, folded, given up, disarmed by one key."""

from __future__ import annotations

import pytest

from explorer.agent.protocol import Code
from explorer.screens.browse import BrowseScreen
from explorer.screens.group import GroupScreen
from explorer.session.probe_spec import ProbeSpec
from tests.scripted_agent import ScriptedAgent
from tests.tui.driving import LARGE, SMALL, Driver, running

TCP = "tcp_*"


async def ask(driver: Driver, query: str, *keys: str) -> None:
    """Type a query, and ask for a group of what it lists."""
    await driver.press("slash", "escape", *query)
    await driver.until(lambda: (listed := driver.browse._listed) is not None and listed.query == query)
    await driver.press("enter", *keys, "A")
    await driver.until(lambda: isinstance(driver.app.screen, GroupScreen))
    await driver.until(lambda: "looking at" not in driver.text("#group"))


async def arm_all_of_tcp(driver: Driver, agent: ScriptedAgent) -> int:
    await ask(driver, TCP)
    await driver.press("y")
    await driver.until(lambda: agent.armed and not driver.app.session.arming.works)  # type: ignore[union-attr]
    return len(agent.armed)


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_a_pattern_is_told_then_armed_folded_and_disarmed_by_one_key(size: tuple[int, int]) -> None:
    agent = ScriptedAgent()
    agent.refusals["tcp_lock"] = (Code.REFUSED, "the kernel refused it", "")
    async with running(agent, size=size) as driver:
        await ask(driver, TCP)
        told = " ".join(driver.text("#group").split())
        assert "tcp_*: 20 functions, 20 entry probes to arm" in told
        assert "a guess: none has been armed here yet" in told
        assert "the guard's budget" in told
        assert not agent.armed, "nothing before the answer"
        await driver.press("y")
        await driver.until_shown("19 armed in")
        assert {probe["symbol"] for probe in agent.armed.values()} >= {"tcp_sendmsg", "tcp_alloc"}
        assert agent.bulks > 1, "a few at a time"
        agent.hit("tcp_alloc", [1] * 6, times=3)
        agent.count("tcp_send", hits=500, not_shown=500)
        await driver.press("4")
        await driver.until_shown("tcp_* (20)", "#probes")
        await driver.until_shown("4 probes · 20 · 1 refused · tcp_send 500, tcp_alloc 3")
        assert "503" in driver.text("#probes")
        assert len(driver.text("#probes").strip().splitlines()) <= 6, "one row for all of them"
        await driver.press("enter")
        await driver.until(lambda: driver.browse.probes.row_count == 22)
        await driver.until_shown("tcp_bio", "#probes")
        await driver.press("enter")
        await driver.until(lambda: driver.browse.probes.row_count == 2)
        await driver.press("d")
        await driver.until(lambda: not agent.armed)
        await driver.until_shown("no probe is armed", "#probes")
        assert driver.app.session is not None
        assert driver.app.session.tally.retired.hits == 503


async def test_marked_functions_are_armed_whatever_is_listed() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.type("vfs_read", "vfs_read")
        await driver.press("enter", "m")
        await driver.until_shown("functions · ✓1 · ", "#finder")
        await ask(driver, "tcp_s*", "M")
        assert "4 marked: 4 functions, 4 entry probes to arm" in driver.text("#group")
        await driver.press("r", "y")
        await driver.until(lambda: len(agent.armed) == 4)
        armed = {(probe["symbol"], probe["kind"]) for probe in agent.armed.values()}
        assert armed == {(name, "return") for name in ("vfs_read", "tcp_send", "tcp_sendmsg", "tcp_skb")}
        await driver.press("M")
        await driver.until(lambda: "✓" not in driver.text("#finder"))


async def test_hot_functions_are_left_out_unless_asked_for() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await ask(driver, "*sched*")
        assert "schedule: left" not in driver.text("#group")
        assert "nothing to arm: left out as deadly hot: 1 (schedule)" in " ".join(driver.text("#group").split())
        await driver.press("y", "h")
        await driver.until_shown("1 entry probe to arm", "#group")
        await driver.press("y")
        await driver.until(lambda: [probe["symbol"] for probe in agent.armed.values()] == ["schedule"])


async def test_a_group_that_is_being_armed_is_given_up_and_nothing_of_it_stays() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, "vfs_read")
        agent.bulk.clear()
        await ask(driver, TCP)
        await driver.press("y", "4")
        await driver.until_shown("arming 0 of 20", "#probes")
        await driver.press("down", "d")
        await driver.until_shown("giving up", "#probes")
        agent.bulk.set()
        await driver.until_shown("disarmed again")
        assert agent.bulks == 1
        assert [probe["symbol"] for probe in agent.armed.values()] == ["vfs_read"]
        assert driver.app.session is not None
        assert list(driver.app.session.probes) == [ProbeSpec("vfs_read")]


async def test_too_many_and_all_functions_are_refused_with_the_reason() -> None:
    agent = ScriptedAgent()
    many = "".join(f"{0xFFFFFFFF81100000 + 16 * number:016x} T many_{number}\n" for number in range(1200))
    agent.facts["kallsyms"] = agent.facts["kallsyms"].replace(b" T _etext", b" T _etext_") + many.encode()
    agent.facts["available_filter_functions"] += "".join(f"many_{number}\n" for number in range(1200)).encode()
    async with running(agent) as driver:
        await driver.press("enter", "A")
        await driver.until_shown("every function is listed")
        await ask(driver, "many_*")
        assert "over the ceiling of 1,000" in " ".join(driver.text("#group").split())
        await driver.press("y")
        assert isinstance(driver.app.screen, GroupScreen)
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.screen, BrowseScreen))
        assert not agent.armed


async def test_disarming_all_takes_groups_and_single_probes() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, "vfs_read")
        assert await arm_all_of_tcp(driver, agent) == 21
        await driver.press("4", "D")
        await driver.until(lambda: not agent.armed)
        await driver.until_shown("no probe is armed", "#probes")
