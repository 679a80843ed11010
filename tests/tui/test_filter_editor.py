"""Writing a probe's filter while it counts: checked at every key, completed, told in the list."""

from __future__ import annotations

import pytest

from explorer.screens.filter_editor import FilterInput, FilterScreen
from tests.scripted_agent import ScriptedAgent
from tests.tui.driving import LARGE, SMALL, Driver, running

OPEN = "do_sys_openat2"


async def editor(driver: Driver, agent: ScriptedAgent) -> None:
    """Arm a probe and open its filter."""
    await driver.arm(agent, OPEN)
    await driver.press("4", "f")
    await driver.until(lambda: isinstance(driver.app.screen, FilterScreen))


async def typed(driver: Driver, text: str) -> None:
    """Put a text into the line as if it had been typed."""
    line = driver.app.screen.query_one(FilterInput)
    line.value = ""
    for character in text:
        line.insert_text_at_cursor(character)
    await driver.pilot.pause()


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_a_filter_is_judged_as_it_is_typed_and_put_on_the_probe_that_goes_on(size: tuple[int, int]) -> None:
    agent = ScriptedAgent()
    async with running(agent, size=size) as driver:
        await editor(driver, agent)
        number = agent.number(OPEN)
        await driver.until_shown("every hit is recorded", "#advice")
        assert "filename const char *" in driver.text("#advice")
        await typed(driver, 'dfd == AT_FDCWD && filename ~ "/etc/[ab]*"')
        await driver.until_shown("filtered by the kernel", "#advice")
        await driver.press("enter")
        await driver.until(lambda: number in agent.filters)
        assert agent.filters[number] == {
            "kernel": [["==", ["value", 0], -100], ["~", ["text", 2], "/etc/[ab]*"]], "agent": []
        }  # fmt: skip
        assert agent.requests.count("arm") == 1
        assert "disarm" not in agent.requests
        await driver.until_shown('only dfd == AT_FDCWD && filename ~ "/etc/[', "#probes")
        # Edited again it begins with what is there; emptied it is gone.
        await driver.press("f")
        await driver.until(lambda: isinstance(driver.app.screen, FilterScreen))
        assert driver.app.screen.query_one(FilterInput).value.startswith("dfd == AT_FDCWD")
        await typed(driver, "")
        await driver.press("enter")
        await driver.until(lambda: agent.filters[number] is None)
        await driver.until(lambda: "only" not in driver.text("#probes"))


async def test_an_error_points_at_its_character_and_is_not_applied() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await editor(driver, agent)
        await typed(driver, "dfd > 3 && filname == 1")
        await driver.until_shown("has no value called filname", "#advice")
        line = driver.text("#filter")
        carets = driver.text("#advice").splitlines()[0]
        assert carets.index("^") == line.index("filname")
        assert "did you mean filename" in driver.text("#advice")
        await driver.press("enter")
        assert isinstance(driver.app.screen, FilterScreen)
        await driver.press("escape")
        await driver.until(lambda: not isinstance(driver.app.screen, FilterScreen))
        assert agent.filters == {}


async def test_names_are_completed() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await editor(driver, agent)
        await driver.press("f", "i")
        await driver.until_shown("Tab filename", "#advice")
        await driver.press("tab")
        line = driver.app.screen.query_one(FilterInput)
        assert line.value == "filename"
        await typed(driver, 'filename == "fi')
        await driver.press("tab")
        assert line.value == 'filename == "fi'
        await typed(driver, "dfd == AT_F")
        await driver.press("tab")
        assert line.value == "dfd == AT_FDCWD"


async def test_what_only_the_agent_can_ask_is_labelled() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await editor(driver, agent)
        await typed(driver, "dfd == 3 && pid == 7")
        await driver.until_shown("by the agent: pid == 7", "#advice")
        assert "by the kernel: dfd == 3" in driver.text("#advice")


async def test_what_was_filtered_is_counted_in_the_list_and_a_refusal_told() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        agent.filter_refusal = "the kernel refused the filter"
        await editor(driver, agent)
        await typed(driver, "dfd == 3")
        await driver.press("enter")
        await driver.until_shown("the kernel refused the filter")
        assert "only" not in driver.text("#probes")
        agent.count(OPEN, hits=50, filtered=43)
        await driver.until(lambda: "43" in driver.text("#probes"))
        assert "filtered" in driver.text("#probes")
