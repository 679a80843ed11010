"""The engine of a probe on the screen: another by a key, what it has become and why, and what is refused."""

from __future__ import annotations

import pytest

from explorer.agent.protocol import Code
from explorer.session.probe import Probe, ProbeState
from explorer.session.probe_spec import ProbeSpec
from tests.scripted_agent import ScriptedAgent
from tests.tui.driving import LARGE, SMALL, Driver, running

READ = "vfs_read"


def _probe(driver: Driver, name: str = READ) -> Probe | None:
    session = driver.app.session
    assert session is not None
    return session.probes.get(ProbeSpec.parse(name))


async def _until_armed(driver: Driver, name: str = READ, *, engine: str, stacks: tuple[str, ...] = ()) -> None:
    """Wait until a probe is armed that was asked for so."""

    def armed() -> bool:
        probe = _probe(driver, name)
        return (
            probe is not None
            and probe.state is ProbeState.ARMED
            and (probe.options.engine, probe.options.stacks) == (engine, stacks)
        )

    await driver.until(armed)


@pytest.mark.parametrize("size", [LARGE, SMALL], ids=["120x40", "80x24"])
async def test_e_arms_the_probe_anew_with_the_next_engine_in_its_place(size: tuple[int, int]) -> None:
    agent = ScriptedAgent()
    async with running(agent, size=size) as driver:
        await driver.arm(agent, READ)
        await driver.arm(agent, "vfs_write")
        await driver.press("4", "g", "e")
        await _until_armed(driver, engine="bpf")
        await driver.until_shown("bpf kprobe: asked for", "#probes")  # in the title
        assert [probe["symbol"] for probe in agent.armed.values()] == ["vfs_write", READ], "only that one"
        await driver.until(lambda: "vfs_read bpf" in driver.text("#probes"))
        rows = [line for line in driver.text("#probes").splitlines() if "→" in line]
        assert [READ in rows[0], "vfs_write" in rows[1]] == [True, True], "each in its place"
        assert "bpf" not in rows[1]
        await driver.press("e")
        await _until_armed(driver, engine="tracefs")
        await driver.press("e")
        await _until_armed(driver, engine="auto")
        assert [probe.get("engine") for probe in agent.armed.values()] == ["auto", "auto"]


async def test_the_card_says_what_the_probe_has_become_and_why() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, READ)
        await driver.until_shown("entry probe: tracefs kprobe", "#card")
        await driver.press("4", "e", "3")
        await driver.until_shown("entry probe: bpf kprobe: asked for", "#card")


@pytest.mark.parametrize(("release", "known"), [("6.8.0-1", True), ("6.1.0-44", False)])
async def test_where_the_kernel_does_not_tell_what_bpf_missed_the_card_says_so(release: str, known: bool) -> None:
    agent = ScriptedAgent()
    agent.release = release
    async with running(agent) as driver:
        await driver.arm(agent, READ)
        await driver.press("4", "e")
        await driver.until_shown("bpf kprobe: asked for", "#card")
        assert ("what it missed is not known" in driver.text("#card")) is not known


async def test_what_is_refused_leaves_the_probe_as_it_was() -> None:
    agent = ScriptedAgent()
    agent.bpf_refusal = Code.KERNEL_CANNOT, "bcc is not installed", "apt install python3-bpfcc"
    async with running(agent) as driver:
        await driver.arm(agent, READ)
        before = _probe(driver)
        await driver.press("4", "e")
        await driver.until_shown("vfs_read stays as it was: bcc is not installed")
        await driver.until_shown("apt install python3-bpfcc")
        await _until_armed(driver, engine="auto")
        assert _probe(driver) is before, "nothing was disarmed to find that out"
        assert [probe["engine"] for probe in agent.armed.values()] == ["auto"]
        await driver.until_shown("tracefs kprobe", "#probes")


async def test_a_probe_stays_armed_while_bpf_is_being_compiled() -> None:
    agent = ScriptedAgent()
    agent.prepared.clear()
    async with running(agent) as driver:
        await driver.arm(agent, READ)
        await driver.press("4", "e")
        await driver.until(lambda: "prepare" in agent.requests)
        agent.hit(READ, [])
        await driver.until(lambda: (probe := _probe(driver)) is not None and probe.counters.hits == 1)
        assert [probe["engine"] for probe in agent.armed.values()] == ["auto"]
        agent.prepared.set()
        await _until_armed(driver, engine="bpf")


async def test_filter_and_returns_that_are_followed_stay_with_another_engine() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, READ, "return")
        await driver.press("4", "m")
        await driver.until(lambda: any(probe["maxactive"] for probe in agent.armed.values()))
        await driver.press("f", *"return > 7", "enter")
        await driver.until(lambda: agent.filters)
        maxactive = [probe["maxactive"] for probe in agent.armed.values()]
        await driver.press("e")
        await _until_armed(driver, f"{READ}%return", engine="bpf")
        assert [probe["maxactive"] for probe in agent.armed.values()] == maxactive
        await driver.until_shown("only return > 7", "#probes")


async def test_both_ends_of_a_call_get_the_engine() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.type(READ, READ)
        await driver.press("enter", "b")
        await driver.until(lambda: len(agent.armed) == 2)
        await driver.press("4", "e")
        await _until_armed(driver, f"{READ}%call", engine="bpf")
        assert [probe["engine"] for probe in agent.armed.values()] == ["bpf", "bpf"]
        await driver.until_shown("call probe: bpf kprobe: asked for", "#card")


async def test_s_has_stacks_recorded_and_takes_the_engine_that_can() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, READ)
        await driver.press("4", "e")
        await _until_armed(driver, engine="bpf")
        await driver.press("e")
        await _until_armed(driver, engine="tracefs")
        await driver.press("s")
        await _until_armed(driver, engine="auto", stacks=("kernel",))
        await driver.until_shown("bpf kprobe with the kernel's stack: only", "#card")
        await driver.press("s")
        await _until_armed(driver, engine="auto", stacks=("kernel", "user"))
        await driver.until_shown("bpf +stacks", "#probes")
        await driver.press("s")
        await _until_armed(driver, engine="auto")
        await driver.until_shown("entry probe: tracefs kprobe", "#card")


async def test_help_and_palette_know_the_keys() -> None:
    async with running() as driver:
        await driver.press("tab", "4")
        titles = [command.title for command in driver.app.get_system_commands(driver.app.screen)]
        assert {"Engine (e)", "Stacks (s)"} <= set(titles)
        await driver.press("question_mark")
        await driver.until_shown("anew with the next engine", "#help")
