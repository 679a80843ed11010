"""The process whose calls are timed by ``explorer.session.cost``, in its own processor time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from symbols.errors import KexploreError

CALLED = ("__x64_sys_getpgid", "__arm64_sys_getpgid", "__se_sys_getpgid", "sys_getpgid")
"""The entry of the system call, by architecture: short, without locks, and hardly ever called by others."""
INNER = ("pid_vnr", "do_getpgid")
"""What it calls, where that was not inlined, in the order in which places for a jump are looked for."""

_PROGRAM = """
import os, sys, time
for line in sys.stdin:
    calls = range(int(line))
    begin = time.thread_time_ns()
    for _ in calls:
        os.getpgid(0)
    print(time.thread_time_ns() - begin, flush=True)
"""


class Caller:
    """The process that makes the calls.

    Args:
        process: Running ``_PROGRAM``.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def nanoseconds(self, calls: int) -> float:
        """Make calls.

        Returns:
            The processor time of one.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"%d\n" % calls)
        answer = await self._process.stdout.readline()
        if not answer:
            raise KexploreError("the process that is measured ended", "run it again")
        return int(answer) / calls


@asynccontextmanager
async def caller() -> AsyncIterator[Caller]:
    """A running process that makes calls."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", _PROGRAM,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Caller(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
