"""Taking a snapshot: every lasting fact by its name, through the session's agent, with or without addresses."""

from __future__ import annotations

import asyncio
import datetime
import re

from explorer.agent import facts, protocol
from explorer.errors import AgentError, TargetLostError
from explorer.session.session import Session
from explorer.session.snapshot import Missing
from explorer.session.snapshot_packing import SnapshotBuilder

_WITHOUT_ADDRESSES = frozenset(
    {
        "available_filter_functions", "tracing_readme", "syscall_formats", "kprobes_optimization", "config", "lockdown",
        "notes", "cpuinfo", "btf",
    }
)  # fmt: skip
"""Facts that hold none. ``notes`` tell where the kernel was linked to, which every copy of it does."""

_ADDRESSES = {
    "kallsyms": re.compile(rb"^()[0-9a-f]+", re.MULTILINE),
    "traceable_addresses": re.compile(rb"^()[0-9a-f]+", re.MULTILINE),
    "modules": re.compile(rb"\b(0x)[0-9a-f]+"),
    "kprobe_blacklist": re.compile(rb"\b(0x)[0-9a-f]+"),
}
"""Where the addresses stand in those that do."""


async def take(session: Session, *, addresses: bool = True) -> SnapshotBuilder:
    """Ask the agent of an open session for everything.

    Args:
        session: It need not have loaded anything.
        addresses: Whether they are kept; otherwise they become zeros, as the kernel itself hides them.

    Raises:
        TargetLostError: The agent is gone.
        AgentError: The list of names cannot be had, without which there is nothing to explore.
    """
    assert session.hello is not None
    taken = datetime.datetime.now(datetime.UTC)
    builder = SnapshotBuilder(session.hello.message, taken, addresses_left_out=not addresses)
    await _keep(builder, "kallsyms", await session.fact("kallsyms"), addresses=addresses)
    for name in facts.STANDING:
        if name != "kallsyms":
            await _add(session, builder, name, addresses=addresses)
    for module in await _with_types(session):
        await _add(session, builder, f"btf:{module}", addresses=addresses)
    return builder


async def _with_types(session: Session) -> list[str]:
    """Whose types to ask for; the kernel's in any case, to have the reason why they cannot be had."""
    try:
        return (await session.fact("btf")).decode("ascii", "replace").split()
    except TargetLostError:
        raise
    except AgentError:
        return ["vmlinux"]


async def _add(session: Session, builder: SnapshotBuilder, name: str, *, addresses: bool) -> None:
    """Add a fact, or why it cannot be had."""
    try:
        data = await session.fact(name)
    except TargetLostError:
        raise
    except AgentError as error:
        builder.miss(Missing(name, error.code, error.message, error.hint))
    else:
        await _keep(builder, name, data, addresses=addresses)


async def _keep(builder: SnapshotBuilder, name: str, data: bytes, *, addresses: bool) -> None:
    if addresses or name in _WITHOUT_ADDRESSES or name.startswith("btf:"):
        await asyncio.to_thread(builder.add, name, data)
    elif name in _ADDRESSES:
        hidden = await asyncio.to_thread(_ADDRESSES[name].sub, rb"\g<1>0000000000000000", data)
        await asyncio.to_thread(builder.add, name, hidden)
    else:
        words = f"{name} may hold addresses, which were left out"
        builder.miss(Missing(name, protocol.Code.FAILED.value, words, "take it without --no-addresses"))
