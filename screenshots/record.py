"""Record the session that the pictures are drawn from, on the lab kernel: ``make recording``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from explorer.session.probe_spec import ProbeSpec
from explorer.session.recording import Recorder
from explorer.session.session import Session
from explorer.session.target import LabTarget

RECORDING = Path(__file__).with_name("session.kxr")
PROBES = ("do_sys_openat2", "do_sys_openat2%return", "vfs_read", "handle_mm_fault")
SECONDS = 8
"""The lab's workload opens files once a second."""


async def record() -> None:
    """Boot the lab, load everything, arm the probes, and keep what is said."""
    session = Session(Recorder(LabTarget(), RECORDING))
    try:
        await session.open(lambda line: print(line, file=sys.stderr))
        await session.load()
        for text in PROBES:
            await session.arm(ProbeSpec.parse(text))
        await asyncio.sleep(SECONDS)
        for text in PROBES:
            await session.disarm(ProbeSpec.parse(text))
    finally:
        left = await session.close()
    events = session.journal.last_number
    print(f"{RECORDING.name}: {events} events, {RECORDING.stat().st_size:,} bytes, left behind: {left or 'nothing'}")


if __name__ == "__main__":
    asyncio.run(record())
