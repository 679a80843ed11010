"""``kexplore snapshot``: save what a kernel says of itself in a file."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from explorer import new_file
from explorer.commands.connection import narrate
from explorer.errors import ExitCode
from explorer.privilege import drop_to_caller
from explorer.session.session import Session
from explorer.session.snapshot_packing import SnapshotBuilder
from explorer.session.snapshot_taking import take
from explorer.session.target import LabTarget, LocalTarget, Target


def run(options: argparse.Namespace) -> int:
    """Write the file; says on stderr what it holds, and what it lacks and why."""
    path = Path(options.file)
    if options.lab:
        target: Target = LabTarget()
    else:
        local = target = LocalTarget()
        local.start(("kallsyms",))
    drop_to_caller()  # the file belongs to who called sudo
    new_file.refuse_existing(path, force=options.force)
    return asyncio.run(_run(target, path, addresses=not options.no_addresses, force=options.force))


async def _run(target: Target, path: Path, *, addresses: bool, force: bool) -> int:
    session = Session(target)
    try:
        hello = await session.open(narrate)
        builder = await take(session, addresses=addresses)
    finally:
        for thing in await session.close():
            narrate(f"could not remove {thing}; try: kexplore clean")
    pieces = builder.pieces()
    new_file.write(path, pieces, force=force)
    size = sum(map(len, pieces)) / 1e6
    narrate(f"{path}: {builder.count} facts of Linux {hello.release} {hello.machine}, {size:.1f} MB; look at it by:")
    narrate(f"  kexplore --kernel {path}")
    _tell_what_is_missing(builder)
    if addresses:
        narrate("it holds addresses, by which KASLR is undone until the next boot: keep it, or use --no-addresses")
    return ExitCode.OK


def _tell_what_is_missing(builder: SnapshotBuilder) -> None:
    for missing in builder.missing:
        hint = f" ({missing.hint})" if missing.hint else ""
        narrate(f"not in it: {missing.name}: {missing.message}{hint}")
