"""``kexplore clean``: remove what dead sessions left armed."""

from __future__ import annotations

import argparse
import asyncio

from explorer.commands.connection import narrate, session
from explorer.errors import ExitCode
from symbols.errors import Category, KexploreError


def run(options: argparse.Namespace) -> int:
    """Print what was removed; FAILED when something could not be."""
    return asyncio.run(_run())


async def _run() -> int:
    async with session(frozenset()) as current:
        assert current.hello is not None
        if current.hello.euid != 0:
            raise KexploreError("only root can remove probes", "sudo kexplore clean", Category.NOT_PERMITTED)
        answer = await current.clean()
        for group in answer["removed"]:
            print(group)
        for group in answer["failed"]:
            narrate(f"could not remove {group}")
        if not answer["removed"] and not answer["failed"]:
            narrate("nothing was left behind")
        return ExitCode.FAILED if answer["failed"] else ExitCode.OK
