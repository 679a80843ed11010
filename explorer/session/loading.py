"""Loading what a kernel says of itself, in the order in which a person can use it: names, lists, prototypes.

Parsing leaves the event loop for a thread; only the few names of the first screen are parsed on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import enum
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from explorer.errors import TargetLostError
from explorer.session.agent_client import AgentClient
from explorer.session.hello import Hello
from symbols import btf, kallsyms, kernel_config, system_calls, tracing_lists
from symbols.catalog import Catalog
from symbols.errors import FactError, KexploreError
from symbols.query import FunctionIndex
from symbols.search import SearchIndex

_T = TypeVar("_T")
_ON_NOTRACE = "KPROBE_EVENTS_ON_NOTRACE"
_TYPES_FIRST = 0.3
"""Seconds that the full list of names waits for the types, which are asked for right behind it."""
_PAUSE = 0.004
"""Seconds that a worker rests after some milliseconds of work for later."""


class Stage(enum.Enum):
    """A step of loading, in order."""

    FIRST_NAMES = "first names"
    NAMES = "names"
    PROTOTYPES = "prototypes"
    LISTS = "lists"
    SEARCH = "search"
    TERMS = "terms"
    """What terms of queries ask about every function: types and verdicts."""


EVERYTHING = frozenset(Stage)


@dataclasses.dataclass(slots=True)
class Loading:
    """What has been loaded so far.

    Attributes:
        functions: What terms of queries are answered from; it is there before it can answer all of them.
        done: The steps behind us, failed ones included.
        failures: Why a step, or a part of one, gave nothing: fact name and error.
        cpu_flags: The ``flags`` line of /proc/cpuinfo; empty where there is none.
    """

    catalog: Catalog | None = None
    search: SearchIndex | None = None
    functions: FunctionIndex | None = None
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
    types = asyncio.create_task(_load_types(client, loading))
    for task in (names, types):  # when one fails, nobody asks how the other ended
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
    if Stage.PROTOTYPES not in wanted:
        types.cancel()
    try:
        first: Catalog | None = None
        if Stage.FIRST_NAMES in wanted:
            await asyncio.wait([beginning, names], return_when=asyncio.FIRST_COMPLETED)
            if beginning.done():
                with contextlib.suppress(FactError):  # damage is told when the whole list is parsed
                    first = Catalog(kallsyms.parse(beginning.result(), partial=True), hello.machine)
                    loading.catalog = first
                    yield Stage.FIRST_NAMES
        data = await names
        if first is not None and Stage.PROTOTYPES in wanted:
            # Types take a third of the time of names: when they are at hand, what is on the screen gets them first.
            await asyncio.wait([types], timeout=_TYPES_FIRST)
            if types.done():
                first.add_btf(await types)
                loading.done.add(Stage.PROTOTYPES)
                yield Stage.PROTOTYPES
        catalog = await asyncio.to_thread(_catalog, data, hello.machine)
        del data
        if Stage.PROTOTYPES in loading.done:
            catalog.add_btf(await types)
        loading.catalog = catalog
        loading.done |= {Stage.FIRST_NAMES, Stage.NAMES}
        yield Stage.NAMES
        if Stage.PROTOTYPES in wanted:
            base = await types
            catalog.add_btf(base)
            await asyncio.to_thread(catalog.weigh_btf)
            await _load_module_types(client, catalog, base, loading)
            loading.done.add(Stage.PROTOTYPES)
            yield Stage.PROTOTYPES
    finally:
        names.cancel()
        types.cancel()
    if Stage.LISTS in wanted:
        await _load_lists(client, hello, catalog, loading)
        await _load_system_calls(client, catalog, loading)
        loading.done.add(Stage.LISTS)
        yield Stage.LISTS
    if Stage.SEARCH in wanted:
        loading.search = await asyncio.to_thread(lambda: SearchIndex(catalog.names))
        loading.functions = await asyncio.to_thread(FunctionIndex, catalog, loading.search.order)
        loading.done.add(Stage.SEARCH)
        yield Stage.SEARCH
        if Stage.TERMS in wanted:
            if Stage.PROTOTYPES in wanted:
                await asyncio.to_thread(loading.functions.add_types, _make_way)
            if Stage.LISTS in wanted:
                await asyncio.to_thread(loading.functions.add_verdicts, _make_way)
            loading.done.add(Stage.TERMS)
            yield Stage.TERMS


def _make_way() -> None:
    """Let the event loop have the interpreter: somebody may be typing, and nobody waits for these columns yet."""
    time.sleep(_PAUSE)


def _catalog(data: bytes, machine: str) -> Catalog:
    return Catalog(kallsyms.parse(data), machine)


async def _load_lists(client: AgentClient, hello: Hello, catalog: Catalog, loading: Loading) -> None:
    """What ftrace reaches, what kprobes refuse, which modules there are: the grounds of verdicts."""
    config = await _fact(client, "config", loading, lambda data: kernel_config.option(data, _ON_NOTRACE))
    catalog.add_tracing_lists(
        tracing_lists.TracingLists(
            traceable=await _load_traceable(client, loading),
            blacklist=await _fact(client, "kprobe_blacklist", loading, tracing_lists.parse_blacklist),
            modules=await _fact(client, "modules", loading, tracing_lists.parse_modules),
            notrace_allowed=None if config is None or isinstance(config, KexploreError) else config == "y",
            no_jumps=await _why_no_jumps(client, loading),
            no_probes=hello.no_probes,
        )
    )


async def _load_system_calls(client: AgentClient, catalog: Catalog, loading: Loading) -> None:
    """The arguments of system calls, which BTF mostly does not have."""
    formats = await _fact(client, "syscall_formats", loading, system_calls.parse_formats)
    if isinstance(formats, KexploreError):
        del loading.failures["syscall_formats"]  # the prototypes of system call entries say that they are raw
    else:
        catalog.add_system_calls(formats)


async def _load_traceable(client: AgentClient, loading: Loading) -> tracing_lists.TraceableFunctions | KexploreError:
    """With addresses where the kernel has them: names alone do not tell which of several of one name is meant."""
    with_addresses = await _fact(client, "traceable_addresses", loading, tracing_lists.parse_traceable_addresses)
    if not isinstance(with_addresses, KexploreError):
        return with_addresses
    del loading.failures["traceable_addresses"]  # nothing that a person misses: older kernels do not have it
    return await _fact(client, "available_filter_functions", loading, tracing_lists.parse_traceable)


async def _why_no_jumps(client: AgentClient, loading: Loading) -> str:
    switch = await _fact(client, "kprobes_optimization", loading, bytes.strip)
    if isinstance(switch, KexploreError):
        del loading.failures["kprobes_optimization"]  # it is the answer
        return "this kernel turns none into a jump"
    return "" if switch == b"1" else "turning them into jumps is switched off (debug.kprobes-optimization)"


async def _load_types(client: AgentClient, loading: Loading) -> btf.Btf | KexploreError:
    """The kernel's BTF, and what tells how its addresses are laid out."""
    base = await _fact(client, "btf:vmlinux", loading, btf.Btf)
    flags = await _fact(client, "cpuinfo", loading, _cpu_flags)
    loading.cpu_flags = frozenset() if isinstance(flags, KexploreError) else flags
    return base


async def _load_module_types(
    client: AgentClient, catalog: Catalog, base: btf.Btf | KexploreError, loading: Loading
) -> None:
    """BTF of each module that has some."""
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
