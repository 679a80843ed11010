"""The lab as a kernel to look at, from this machine: its probes, and commands that run in the guest. It boots one."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from explorer.session.loading import Stage
from explorer.session.probe_spec import ProbeSpec
from explorer.session.session import Session
from explorer.session.target import LabTarget
from explorer.session.traced_command import TracedCommand

OPEN = "do_sys_openat2"


async def test_a_command_runs_in_the_guest_and_its_tree_alone_is_recorded() -> None:
    """The guest's own workload opens files all the time."""
    session = Session(LabTarget())
    await session.open()
    over = asyncio.Event()

    def changed() -> None:
        if command.over:
            over.set()

    command = TracedCommand(session, "uname -r; cat /etc/hostname & exit 3", changed)
    try:
        await session.load(frozenset({Stage.NAMES, Stage.LISTS, Stage.PROTOTYPES}))
        probe = await session.arm(ProbeSpec.parse(OPEN))
        await command.start()
        await over.wait()
        await session.disarm(probe.spec)
        assert command.code == 3
        assert command.output[0].startswith("6.12.")
        assert command.output[0] != os.uname().release
        assert command.output[1] == Path("/etc/hostname").read_text().strip()
        events = session.journal.between(1, 1 << 40)
        ours = next(place for place, event in enumerate(events) if event.comm == "uname")
        assert {event.comm for event in events[ours:]} <= {"sh", "uname", "cat"}
        assert any("/etc/hostname" in event.raw for event in events)
        assert probe.counters.hits == len(events) + probe.counters.filtered
    finally:
        await command.close()
        left = await session.close()
    assert left == []
