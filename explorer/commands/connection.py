"""A session for the length of one command."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from explorer.privilege import drop_to_caller
from explorer.session.loading import Stage
from explorer.session.session import Session
from explorer.session.snapshot_target import SnapshotTarget
from explorer.session.target import LocalTarget, Target
from explorer.session.time_limit import TimeLimit

_AHEAD = {"kallsyms": Stage.NAMES, "btf:vmlinux": Stage.PROTOTYPES}
"""The large facts, in the order in which they are loaded, and which stage wants them."""


@contextlib.asynccontextmanager
async def session(
    wanted: frozenset[Stage],
    *,
    snapshot: str | None = None,
    rows_outstanding: int = 500,
    debuginfo: str | None = None,
    limit: TimeLimit | None = None,
) -> AsyncIterator[Session]:
    """This machine's kernel with the wanted facts loaded; what could not be removed afterwards is said on stderr.

    Args:
        wanted: The stages of loading that the command needs; empty: none, not even the names.
        snapshot: A snapshot to look at instead of this machine.
        rows_outstanding: How many rows the agent may be ahead.
        debuginfo: Where the kernel's debug information is, when the user said so.
        limit: How long anything may stay armed; None: as long as the command runs.

    Raises:
        KexploreError: The agent cannot be started, the snapshot not be read, or the list of names not be had.
    """
    target = _target(wanted, snapshot)
    target.debuginfo = Path(debuginfo) if debuginfo else None
    drop_to_caller()
    current = Session(target, rows_outstanding=rows_outstanding)
    current.limit = limit
    try:
        await current.open()
        if wanted:
            await current.load(wanted)
        yield current
    finally:
        for thing in await current.close():
            narrate(f"could not remove {thing}; try: kexplore clean")
        if current.deleting:
            narrate(deleting_text(current.deleting))


def _target(wanted: frozenset[Stage], snapshot: str | None) -> Target:
    if snapshot is not None:
        return SnapshotTarget(Path(snapshot))
    target = LocalTarget()
    target.start(tuple(name for name, stage in _AHEAD.items() if stage in wanted))
    return target


def deleting_text(definitions: int) -> str:
    """What an agent does that is left alone."""
    return f"nothing is armed; the agent goes on deleting {definitions:,} disabled definitions, and ends"


def narrate(line: str) -> None:
    """Say something to the person, beside the data on stdout."""
    print(f"kexplore: {line}", file=sys.stderr)
