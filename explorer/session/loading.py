"""Loading what a kernel says of itself, in the order in which a person can use it: names, lists, prototypes.

Parsing leaves the event loop for a thread; only the few names of the first screen are parsed on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import enum
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from explorer.agent.protocol import Code
from explorer.errors import TargetLostError
from explorer.session.agent_client import AgentClient, Hello
from symbols import btf, kallsyms, kernel_config, tracing_lists
from symbols.catalog import Catalog
from symbols.errors import FactError, KexploreError
from symbols.search import SearchIndex

_T = TypeVar("_T")
_ON_NOTRACE = "KPROBE_EVENTS_ON_NOTRACE"


class Stage(enum.Enum):
    """A step of loading, in order."""

    FIRST_NAMES = "first names"
    NAMES = "names"
    PROTOTYPES = "prototypes"
    LISTS = "lists"
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
    catalog = await asyncio.to_thread(_catalog, await names, hello.machine)
    loading.catalog = catalog
    loading.done |= {Stage.FIRST_NAMES, Stage.NAMES}
    yield Stage.NAMES
    steps = {Stage.PROTOTYPES: _load_prototypes, Stage.LISTS: _load_lists}
    for stage, step in steps.items():
        if stage in wanted:
            await step(client, hello, catalog, loading)
            loading.done.add(stage)
            yield stage
    if Stage.SEARCH in wanted:
        loading.search = await asyncio.to_thread(lambda: SearchIndex(catalog.names))
        loading.done.add(Stage.SEARCH)
        yield Stage.SEARCH


def _catalog(data: bytes, machine: str) -> Catalog:
    return Catalog(kallsyms.parse(data), machine)


async def _load_lists(client: AgentClient, hello: Hello, catalog: Catalog, loading: Loading) -> None:
    """What ftrace reaches, what kprobes refuse, which modules there are: the grounds of verdicts."""
    config = await _fact(client, "config", loading, lambda data: kernel_config.option(data, _ON_NOTRACE))
    catalog.add_tracing_lists(
        tracing_lists.TracingLists(
            traceable=await _fact(client, "available_filter_functions", loading, tracing_lists.parse_traceable),
            blacklist=await _fact(client, "kprobe_blacklist", loading, tracing_lists.parse_blacklist),
            modules=await _fact(client, "modules", loading, tracing_lists.parse_modules),
            notrace_allowed=None if config is None or isinstance(config, KexploreError) else config == "y",
            no_probes=hello.cause if hello.code == Code.KERNEL_CANNOT.value else "",
        )
    )


async def _load_prototypes(client: AgentClient, hello: Hello, catalog: Catalog, loading: Loading) -> None:
    """BTF of the kernel, then of each module that has some."""
    flags = await _fact(client, "cpuinfo", loading, _cpu_flags)
    loading.cpu_flags = frozenset() if isinstance(flags, KexploreError) else flags
    base = await _fact(client, "btf:vmlinux", loading, btf.Btf)
    catalog.add_btf(base)
    if isinstance(base, KexploreError):
        return
    names = await _fact(client, "btf", loading, lambda data: data.decode("ascii", "replace").split())
    for name in [] if isinstance(names, KexploreError) else names:
        if name != "vmlinux":
            catalog.add_btf(await _fact(client, f"btf:{name}", loading, lambda data: btf.Btf(data, base)), name)


def _cpu_flags(cpuinfo: bytes) -> frozenset[str]:
    for line in cpuinfo.decode("ascii", "replace").splitlines():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(flags.split())
    return frozenset()


async def _fact(client: AgentClient, name: str, loading: Loading, parse: Callable[[bytes], _T]) -> _T | KexploreError:
    """A fact, parsed in a thread; or why it cannot be had, which is noted too."""
    try:
        return await asyncio.to_thread(parse, await client.fact(name))
    except TargetLostError:
        raise
    except KexploreError as error:
        loading.failures[name] = error
        return error
