"""Search as it is typed: only the newest query is answered, and an old one stops costing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from explorer.session.finding import Found
from explorer.session.live_search import LiveSearch
from explorer.session.session import Session
from symbols import kallsyms
from symbols.catalog import Catalog
from symbols.query import FunctionIndex
from symbols.search import SearchResult
from tests.scripted_agent import ScriptedAgent, ScriptedTarget


class EndlessIndex:
    """An index whose search for "slow" ends only when it is told to."""

    def __init__(self) -> None:
        self.searched: list[str] = []
        self.begun = threading.Event()
        self.order = range(3)

    def search(self, query: str, limit: int, cancelled: Callable[[], bool], among: int | None = None) -> SearchResult:
        self.searched.append(query)
        if query == "slow":
            self.begun.set()
            while not cancelled():
                pass
        return SearchResult((0,), (0,), 1)


async def searching(asked: Callable[[LiveSearch, Any, EndlessIndex], Any]) -> tuple[list[str], list[Found]]:
    session: Any = Session(ScriptedTarget(ScriptedAgent()))
    index = EndlessIndex()
    session.catalog = Catalog(kallsyms.parse(b"ffffffff81000000 T one\n"), "x86_64")
    session.search = index
    session.loading.functions = FunctionIndex.__new__(FunctionIndex)  # never asked: these queries have no terms
    found: list[Found] = []
    search = LiveSearch(found.append)
    await asked(search, session, index)
    assert search._task is not None
    await asyncio.wait_for(search._task, 10)
    return index.searched, found


async def test_a_new_query_ends_the_search_for_the_old_one_and_skips_those_between() -> None:
    async def typed(search: LiveSearch, session: Any, index: EndlessIndex) -> None:
        search.ask(session, "slow")
        assert await asyncio.to_thread(index.begun.wait, 10)
        search.ask(session, "between")
        search.ask(session, "newest")

    searched, found = await searching(typed)
    assert searched == ["slow", "newest"]
    assert [each.query for each in found] == ["newest"]


async def test_stopping_ends_the_search_and_tells_nothing() -> None:
    async def stopped(search: LiveSearch, session: Any, index: EndlessIndex) -> None:
        search.ask(session, "slow")
        assert await asyncio.to_thread(index.begun.wait, 10)
        search.stop()

    searched, found = await searching(stopped)
    assert (searched, found) == (["slow"], [])
