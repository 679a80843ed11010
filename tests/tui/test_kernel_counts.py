"""Hits that are counted in the kernel, on the screen: by what, of what, the way there and back."""

from __future__ import annotations

import pytest

from explorer.agent.protocol import Code
from explorer.screens.browse import BrowseScreen
from explorer.screens.kernel_counts import KernelCountsScreen
from explorer.session.aggregates import Wanted
from explorer.session.probe_spec import ProbeSpec
from tests.scripted_agent import ScriptedAgent
from tests.tui.driving import LARGE, SMALL, Driver, running

READ = "vfs_read"


async def _counting(driver: Driver, agent: ScriptedAgent) -> None:
    """The probe at READ, counted in the kernel, and the screen that shows it."""
    await driver.arm(agent, READ)
    await driver.press("4", "h")
    await driver.until(lambda: isinstance(driver.app.screen, KernelCountsScreen))


async def _until_asked(driver: Driver, wanted: Wanted | None) -> None:
    def asked() -> bool:
        assert driver.app.session is not None
        probe = driver.app.session.probes.get(ProbeSpec.parse(READ))
        now = probe.aggregate.wanted if probe is not None and probe.aggregate is not None else None
        return probe is not None and probe.number is not None and now == wanted

    await driver.until(asked)


@pytest.mark.parametrize("size", [LARGE, SMALL], ids=["120x40", "80x24"])
async def test_keys_stand_with_their_hits_the_most_first(size: tuple[int, int]) -> None:
    agent = ScriptedAgent()
    async with running(agent, size=size) as driver:
        await _counting(driver, agent)
        await driver.until_shown("Nothing was counted yet")
        agent.cells(READ, [("cat", 0, 1200, 0), ("sh", 0, 30_000, 0), ("a\x1b[2J", 0, 1, 0)])
        await driver.until_shown("30,000", "#counts")
        rows = [line.split()[:2] for line in driver.text("#counts").splitlines()[:3]]
        assert rows == [["sh", "30,000"], ["cat", "1,200"], ["a\\x1b[2J", "1"]], "harmless, and in order"
        assert "by comm" in driver.text("#counts-heading")
        assert "3 keys, 31,201 hits, 0 filtered, 0 lost, 0 missed" in driver.text("#counts-heading")
        assert not driver.app.screen.query_one("#sizes").display


async def test_a_number_is_measured_and_its_sizes_shown_for_the_key_under_the_cursor() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await _counting(driver, agent)
        for name in ("file", "buf", "count"):
            await driver.press("o")
            await _until_asked(driver, Wanted("comm", name))
        [probe] = agent.armed.values()
        assert (probe["aggregate"], probe["registers"]) == ({"by": "comm", "of": ["value", 3]}, False)
        agent.cells(READ, [("cat", 9, 5, 45), ("cat", 40, 1, 40), ("sh", 9, 1, 9), ("sh", None, 2, 0)])
        await driver.until_shown("sizes of count of cat")
        assert driver.text("#counts").split()[:3] == ["cat", "6", "14"], "hits and mean"
        lines = driver.text("#sizes").splitlines()
        assert [line.split()[1:3] for line in lines if "≥" in line] == [["8", "5"], ["16", "0"], ["32", "1"]]
        await driver.press("down")
        await driver.until_shown("sizes of count of sh · 2 could not be read")


async def test_b_counts_by_another_key_and_r_records_again() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await _counting(driver, agent)
        await driver.press("b")
        await _until_asked(driver, Wanted("pid", ""))
        agent.cells(READ, [(4711, 0, 3, 0)])
        await driver.until_shown("4711", "#counts")
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.screen, BrowseScreen))
        await driver.until_shown("bpf counting", "#probes")
        await driver.until_shown("Hits are counted in the kernel", "#events")
        await driver.press("s")
        await driver.until_shown("vfs_read records no events to have stacks")
        await driver.press("h")
        await driver.until_shown("4711", "#counts")
        await driver.press("r")
        await driver.until(lambda: isinstance(driver.app.screen, BrowseScreen))
        await _until_asked(driver, None)
        [probe] = agent.armed.values()
        assert (probe["aggregate"], probe["registers"]) == (None, True)


async def test_where_it_is_refused_the_probe_goes_on_recording_and_the_cause_is_told() -> None:
    agent = ScriptedAgent()
    agent.bpf_refusal = Code.KERNEL_CANNOT, "bcc is not installed", "apt install python3-bpfcc"
    async with running(agent) as driver:
        await driver.arm(agent, READ)
        await driver.press("4", "h")
        await driver.until_shown("vfs_read stays as it was: bcc is not installed")
        assert isinstance(driver.app.screen, BrowseScreen)
        agent.hit(READ, [])
        await driver.until_shown("1 shown")


async def test_where_the_kernel_does_not_tell_what_was_missed_no_number_stands_for_it() -> None:
    agent = ScriptedAgent()
    agent.release = "6.1.0-44"
    async with running(agent) as driver:
        await _counting(driver, agent)
        agent.cells(READ, [("cat", 0, 3, 0)])
        await driver.until_shown("3 hits, 0 filtered, 0 lost, what was missed is not known")
