"""Debug information on the screen: the line of the sources, and the places where a function was inlined."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.screens.inlined import InlinedScreen
from tests.debuginfo_kernel import agent_of, build_kernel
from tests.scripted_agent import ScriptedTarget
from tests.tui.driving import SMALL, running


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_kernel(tmp_path_factory.mktemp("kernel"))


@pytest.mark.parametrize("size", [SMALL, (120, 40)])
async def test_an_inlined_copy_is_armed_from_its_list(
    kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    agent = agent_of(kernel)
    target = ScriptedTarget(agent, "this machine")
    target.debuginfo = kernel
    async with running(first=target, size=size) as driver:
        await driver.press(*"second")
        await driver.press("enter")
        await driver.press("3")
        await driver.press("z")
        await driver.until_shown("source corpus.c:", "#card")
        assert "long second(long alpha, long beta)" in driver.text("#card")
        await driver.press("escape")
        await driver.press("1")
        await driver.press("escape")
        await driver.press(*"from_header")
        session = driver.app.session
        assert session is not None
        await driver.until(lambda: bool(session.catalog and session.catalog.inlined_only("from_header")))
        await driver.until_shown("inlined only: i, here", "#functions")
        await driver.press("enter")
        await driver.press("i")
        await driver.until(lambda: isinstance(driver.app.screen, InlinedScreen))
        await driver.until_shown("second+", "#copies")
        await driver.until_shown("int from_header(int number, int added)", "#copy")
        await driver.press("space")
        await driver.until(lambda: bool(agent.armed))
        (armed,) = agent.armed.values()
        assert armed["offset"] > 0
        await driver.until_shown("→", "#copies")
        await driver.press("space")
        await driver.until(lambda: not agent.armed)
        await driver.press("escape")
        await driver.until(lambda: not isinstance(driver.app.screen, InlinedScreen))
