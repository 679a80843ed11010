"""The disassembly: places are picked from it, calls are followed, and what takes no probe says why."""

from __future__ import annotations

import pytest

from explorer.screens.confirm import ConfirmScreen
from explorer.screens.disassembly import DisassemblyScreen
from explorer.session import hot_functions
from tests.kernel_code import READ, at, with_code
from tests.scripted_agent import ScriptedAgent, address
from tests.tui.driving import LARGE, SMALL, Driver, running


async def listed(driver: Driver, *, key_from_card: bool = True) -> None:
    """Open the listing of vfs_read."""
    await driver.type(READ, READ)
    await driver.press("enter", *(("enter",) if key_from_card else ()), "a")
    await driver.until(lambda: isinstance(driver.app.screen, DisassemblyScreen))
    await driver.until_shown("places for probes", "#code-heading")


def offsets(agent: ScriptedAgent) -> list[int]:
    return [probe["offset"] for probe in agent.armed.values()]


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_a_place_is_picked_and_its_hits_are_counted_there(size: tuple[int, int]) -> None:
    agent = with_code(ScriptedAgent())
    async with running(agent, size=size) as driver:
        await listed(driver)
        shown = driver.text("#code")
        for words in ("+0x4", "ftrace's call site", "callq schedule", "je +0x1a", "✗ +0x1c", "padding"):
            assert words in shown
        await driver.press("down", "down", "space")
        await driver.until(lambda: offsets(agent) == [9])
        agent.count(READ, hits=3)
        await driver.until_shown("3 hits", "#code")
        line = next(line for line in driver.text("#code").splitlines() if "+0x9 " in line)
        assert line.strip().startswith("→ +0x9")
        await driver.press("space")
        await driver.until(lambda: not agent.armed)
        await driver.until_shown("  +0x9", "#code")


async def test_the_entry_probe_is_armed_at_the_entry_and_at_ftraces_call_site() -> None:
    agent = with_code(ScriptedAgent())
    async with running(agent) as driver:
        await listed(driver, key_from_card=False)
        await driver.press("down", "space")
        await driver.until(lambda: offsets(agent) == [0])
        await driver.until_shown("→ +0x0", "#code")


async def test_what_takes_no_probe_says_why_and_asks_nobody() -> None:
    agent = with_code(ScriptedAgent())
    async with running(agent) as driver:
        await listed(driver)
        await driver.press("G", "space")
        await driver.until_shown("padding between functions, never executed", "#code-heading")
        await driver.press("up", "space")
        await driver.until_shown("no probe at +0x1c: a BUG or WARN")
        assert "arm" not in agent.requests


async def test_calls_are_followed_and_come_back() -> None:
    agent = with_code(ScriptedAgent())
    agent.facts[f"text:{address('schedule'):#x}:256"] = b"\x53\x5b\xc3" + b"\xcc" * 253
    async with running(agent) as driver:
        await listed(driver)
        await driver.press(*("down",) * 4, "enter")
        await driver.until_shown("schedule", "#code-heading")
        await driver.until_shown("popq %rbx", "#code")
        await driver.press("escape")
        await driver.until_shown("vfs_read", "#code-heading")
        await driver.until_shown("callq schedule", "#code")
        screen = driver.app.screen
        assert isinstance(screen, DisassemblyScreen)
        code = screen.query_one("#code")
        await driver.until(lambda: getattr(code, "cursor", None) == 4)
        await driver.press("down", "enter")
        assert getattr(code, "cursor", None) == 7, "a jump inside the function"
        await driver.press("backspace")
        assert getattr(code, "cursor", None) == 5
        await driver.press("escape")
        await driver.until(lambda: driver.app.screen is driver.browse)


async def test_code_that_cannot_be_read_says_why() -> None:
    async with running(ScriptedAgent()) as driver:
        await driver.type(READ, READ)
        await driver.press("enter", "a")
        await driver.until_shown(f"no text:{address(READ):#x}:256 here", "#code-heading")
        await driver.press("escape")
        await driver.until(lambda: driver.app.screen is driver.browse)


async def test_somebody_elses_probe_is_shown_and_what_it_hides_is_not_guessed() -> None:
    agent = with_code(ScriptedAgent())
    code = bytearray(agent.facts[f"text:{address(READ):#x}:256"])
    code[0xA] = 0xCC
    with_code(agent, bytes(code))
    agent.facts["kprobes"] = f"{at(READ, 0xA):016x}  k  vfs_read+0xa    \n".encode()
    async with running(agent) as driver:
        await listed(driver)
        await driver.until_shown("somebody else's probe", "#code")
        await driver.press("down", "down", "down")
        await driver.until_shown("not known where instructions begin", "#code-heading")


async def test_a_place_in_a_deadly_hot_function_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot_functions, "question", lambda session, specs: "deadly hot" if specs else "")
    agent = with_code(ScriptedAgent())
    async with running(agent) as driver:
        await listed(driver)
        await driver.press("down", "down", "space")
        await driver.until(lambda: isinstance(driver.app.screen, ConfirmScreen))
        assert not agent.armed
        await driver.press("y")
        await driver.until(lambda: offsets(agent) == [9])
