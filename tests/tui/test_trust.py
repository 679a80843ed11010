"""What is not certain of a prototype is marked wherever the prototype is shown."""

from __future__ import annotations

import pytest

from explorer.screens.inspector import InspectorScreen
from tests.btf_builder import BtfBuilder
from tests.scripted_agent import ScriptedAgent
from tests.tui.driving import LARGE, SMALL, running


def _agent() -> ScriptedAgent:
    """Its ``vfs_read`` takes a struct that may be aligned, on the stack; its ``tcp_sendmsg`` is one of several."""
    agent, types = ScriptedAgent(), BtfBuilder()
    long, integer = types.integer("long", 8, True), types.integer("int", 4, True)
    pair = types.struct("pair", 16, [("first", long, 0), ("second", long, 64)])
    words = [(f"word{number}", long) for number in range(7)]
    types.function("vfs_read", long, [*words, ("pair", pair), ("last", integer)])
    types.function("tcp_sendmsg", integer, [("a", integer)])
    agent.facts["btf:vmlinux"] = types.build()
    agent.facts["kallsyms"] = agent.facts["kallsyms"].replace(b" T tcp_sendmsg", b" t tcp_sendmsg")
    return agent


@pytest.mark.parametrize("size", [LARGE, SMALL], ids=["120x40", "80x24"])
async def test_the_card_marks_doubtful_places(size: tuple[int, int]) -> None:
    async with running(_agent(), size=size) as driver:
        await driver.type("vfs_read", "vfs_read")
        await driver.press("enter", "3", "z")
        await driver.until_shown("return", "#card")
        card = driver.text("#card")
        assert "exact, BTF" in card, "the prototype itself is certain"
        lines = {words[0]: line for line in card.splitlines() if (words := line.strip("│ ").split())}
        assert "sp+0x8" in lines["word6"]
        assert "?" not in lines["word6"]
        assert "sp+0x10?" in lines["pair"]
        assert "sp+0x20?" in lines["last"]
        assert "?" not in lines["return"]
        assert " ".join(card.replace("│", " ").split()).count("an alignment given by attribute") == 1, (
            "the reason is told once"
        )
        await driver.press("z", "slash", "escape")
        await driver.type("tcp_sendmsg", "tcp_sendmsg")
        await driver.press("enter", "3", "z")
        await driver.until_shown("variant, BTF", "#card")
        assert "di?" in driver.text("#card")
        assert "nothing shows that BTF describes" in " ".join(driver.text("#card").replace("│", " ").split())


async def test_the_inspector_marks_what_a_register_may_carry() -> None:
    agent = _agent()
    async with running(agent) as driver:
        await driver.arm(agent, "tcp_sendmsg")
        agent.hit("tcp_sendmsg", [7], registers={"di": 7})
        await driver.until_shown("a=7", "#events")
        await driver.press("5", "enter")
        await driver.until(lambda: isinstance(driver.app.screen, InspectorScreen))
        await driver.until_shown("a? = 7", "#registers")
