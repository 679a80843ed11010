"""Terms in the search box: what they list, what is said while they are typed, and when they cannot be answered yet."""

from __future__ import annotations

from tests.scripted_agent import FILLERS, FUNCTIONS, ScriptedAgent
from tests.tui.driving import SMALL, Driver, running


def listed(driver: Driver) -> list[str]:
    functions = driver.browse.functions
    return [functions._symbol(row).name for row in range(functions.row_count)]


async def ask(driver: Driver, query: str) -> None:
    """Type a query, and wait for its answer."""
    await driver.press("slash", "escape", *query)
    await driver.until(lambda: driver.browse._listed is not None and driver.browse._listed.query == query)


async def test_terms_and_words_narrow_the_list() -> None:
    async with running() as driver:
        await ask(driver, 'takes:"struct file *"')
        assert listed(driver) == ["vfs_read"]
        assert "functions · 1" in str(driver.browse.finder.border_title)
        await ask(driver, "returns:long args:3 opnat")
        assert listed(driver) == ["do_sys_openat2"]
        line = driver.browse.functions.render_line(0)
        marked = "".join(text for text, style, _ in line if style is not None and style.underline)
        assert marked == "opnat"
        await ask(driver, "args:>9")
        await driver.until_shown("no function meets all of this", "#functions")


async def test_a_term_half_typed_gets_a_quiet_word_and_hides_nothing() -> None:
    async with running(size=SMALL) as driver:
        everything = len(FUNCTIONS + FILLERS)
        assert not driver.browse.note.display
        for query, hint in (
            ("is:prob", "probeable"),
            ("takes:", "struct bio *"),
            ("args:>", "args:>6"),
            ('takes:"s', '"'),
        ):
            await ask(driver, query)
            assert hint in driver.text("#note")
            assert "^" not in driver.text("#note")
        await ask(driver, "is:prob")
        assert driver.browse._listed is not None
        assert driver.browse._listed.total == everything
        await driver.press("escape")
        await driver.until(lambda: not driver.browse.note.display)


async def test_a_wrong_term_is_pointed_at() -> None:
    async with running(size=SMALL) as driver:
        await ask(driver, "vfs is:nonsense")
        pointer, *words = driver.text("#note").splitlines()
        assert pointer.index("^") == driver.text("#search").index("nonsense") == 7
        assert "is: has no 'nonsense'" in " ".join(words)
        assert listed(driver)[:2] == ["vfs_read", "vfs_write"], "what could be understood is answered"


async def test_armed_functions_come_and_go() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, "vfs_read")
        await ask(driver, "is:armed")
        assert listed(driver) == ["vfs_read"]
        await driver.press("enter", "space")
        await driver.until(lambda: not agent.armed)
        await driver.until(lambda: driver.browse.functions.row_count == 0)


async def test_types_that_are_not_there_yet_are_waited_for() -> None:
    agent = ScriptedAgent()
    types = agent.hold("btf:vmlinux")
    async with running(agent, load=False) as driver:
        await driver.until(lambda: driver.browse.functions.row_count > len(FUNCTIONS))
        await ask(driver, "takes:file")
        await driver.until_shown("being indexed", "#note")
        assert driver.browse.functions.row_count == 0
        assert "nothing" not in driver.text("#functions")
        types.set()
        await driver.until(lambda: listed(driver) == ["vfs_read"])


async def test_the_help_tells_the_terms() -> None:
    async with running() as driver:
        await driver.press("slash", "question_mark")
        await driver.until_shown("keys")
        for words in ("takes:TYPE", "returns:errptr", "is:blacklisted"):
            await driver.until_shown(words)
