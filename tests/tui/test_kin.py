"""Names that stand for several functions: how they are listed, told apart, picked and armed."""

from __future__ import annotations

import pytest

from tests.tui.driving import LARGE, SMALL, running
from tests.unit.test_families import agent


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_namesakes_are_picked_on_the_card_and_armed_by_address(size: tuple[int, int]) -> None:
    scripted = agent()
    async with running(scripted, size=size) as driver:
        await driver.type("twice", "twice")
        await driver.press("enter", "n")
        await driver.until(lambda: driver.browse.focused is driver.browse.card)
        catalog = driver.app.session.catalog if driver.app.session else None
        assert catalog is not None
        second = catalog.find("twice")[1]
        assert driver.browse.card.symbol == second
        await driver.press("space")
        await driver.until(lambda: [probe.get("address") for probe in scripted.armed.values()] == [second.address])
        await driver.until_shown("→= twice", "#functions")
        await driver.press("z")
        await driver.until_shown("▸→= twice", "#card")
        await driver.until_shown(f"{second.address:#x}  lone.constprop.0 and _etext", "#card")
        await driver.press("n")
        assert driver.browse.card.symbol == catalog.find("twice")[0]


async def test_variants_stand_under_their_function_and_are_armed_with_it() -> None:
    scripted = agent()
    async with running(scripted) as driver:
        await driver.type("walk", "walk")
        await driver.until_shown("└ walk.isra.0", "#functions")
        await driver.press("enter", "v")
        armed = ["walk", "walk.isra.0", "walk.part.1"]
        await driver.until(lambda: sorted(probe["symbol"] for probe in scripted.armed.values()) == armed)
        await driver.until_shown("walk.cold", "#card")
        await driver.press("v")
        await driver.until(lambda: not scripted.armed)
