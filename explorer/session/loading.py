"""Loading what a kernel says of itself, in the order in which a person can use it: names, lists, prototypes.

Parsing leaves the event loop for a thread; only the few names of the first screen are parsed on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import enum
from collections.abc import AsyncIterator

from symbols.search import SearchIndex

from explorer.errors import AgentError, TargetLostError
from explorer.session.agent_client import AgentClient, Hello
from symbols import kallsyms
from symbols.catalog import Catalog
from symbols.errors import FactError, KexploreError


class Stage(enum.Enum):
    """A step of loading, in order."""

    FIRST_NAMES = "first names"
    NAMES = "names"
    LISTS = "lists"
    PROTOTYPES = "prototypes"
    SEARCH = "search"


EVERYTHING = frozenset(Stage)


@dataclasses.dataclass(slots=True)
class Loading:
    """What has been loaded so far.

    Attributes:
        done: The steps behind us, failed ones included.
        failures: Why a step, or a part of one, gave nothing: fact name and error.
        cpu_flags: The ``flags`` line of /proc/cpuinfo; empty where there is none.
    """

    catalog: Catalog | None = None
    search: SearchIndex | None = None
    done: set[Stage] = dataclasses.field(default_factory=set)
    failures: dict[str, KexploreError] = dataclasses.field(default_factory=dict)
    cpu_flags: frozenset[str] = frozenset()


async def load(
    client: AgentClient, hello: Hello, loading: Loading, wanted: frozenset[Stage] = EVERYTHING
) -> AsyncIterator[Stage]:
    """Load the wanted steps into ``loading``, yielding each as it is done.

    Raises:
        KexploreError: The list of names cannot be had; without it there is nothing to explore.
    """
    beginning: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    names = asyncio.create_task(client.fact("kallsyms", beginning=beginning.set_result))
    if Stage.FIRST_NAMES in wanted:
        await asyncio.wait([beginning, names], return_when=asyncio.FIRST_COMPLETED)
        if beginning.done():
            with contextlib.suppress(FactError):  # damage is told when the whole list is parsed
                first = kallsyms.parse(beginning.result(), partial=True)
                loading.catalog = Catalog(first, hello.machine)
                yield Stage.FIRST_NAMES
    data = await names
    catalog = await asyncio.to_thread(lambda: Catalog(kallsyms.parse(data), hello.machine))
    del data
    loading.catalog = catalog
    loading.done |= {Stage.FIRST_NAMES, Stage.NAMES}
    yield Stage.NAMES
    steps = {Stage.LISTS: _load_lists, Stage.PROTOTYPES: _load_prototypes}
    for stage, step in steps.items():
        if stage in wanted:
            await step(client, catalog, loading)
            loading.done.add(stage)
            yield stage
    if Stage.SEARCH in wanted:
        loading.search = await asyncio.to_thread(lambda: SearchIndex(catalog.names))
        loading.done.add(Stage.SEARCH)
        yield Stage.SEARCH


async def _fact(client: AgentClient, name: str, loading: Loading) -> bytes | None:
    """A fact, or None with the failure noted."""
    try:
        return await client.fact(name)
    except TargetLostError:
        raise
    except AgentError as error:
        loading.failures[name] = error
        return None
