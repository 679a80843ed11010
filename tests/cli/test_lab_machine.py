"""The lab as the explorer uses it: ports, and an end at any moment. Each test boots a kernel, or begins to."""

from __future__ import annotations

import asyncio
import os
import select

import pytest

from explorer.lab.errors import LabError
from explorer.lab.machine import Lab

ECHO = 'exec 3<>/dev/virtio-ports/kexplore.test; echo ready >&3; while read -r line <&3; do echo "<$line>" >&3; done'


def children() -> set[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return {int(pid) for pid in file.read().split()}


async def test_a_port_is_a_byte_stream_to_the_guest() -> None:
    said: list[str] = []
    async with await Lab.boot(["sh", "-c", ECHO], progress=said.append, ports=["kexplore.test"]) as lab:
        reader, writer = await lab.port("kexplore.test")
        assert await reader.readline() == b"ready\n"
        writer.write(b"hello\n")
        assert await reader.readline() == b"<hello>\n"
        writer.close()
        assert lab.release.startswith("6.12.")
    assert said[-2].startswith("booting 6.12.")
    assert said[-1].startswith("kernel up in ")
    await lab.close()  # again


async def test_a_cancelled_boot_leaves_no_process() -> None:
    before = children()
    booting = asyncio.Event()
    boot = asyncio.create_task(Lab.boot(None, progress=lambda text: booting.set() if "booting" in text else None))
    await booting.wait()
    while len(children() - before) < 2:
        await asyncio.sleep(0)
    started = [os.pidfd_open(pid) for pid in children() - before]
    boot.cancel()
    with pytest.raises(asyncio.CancelledError):
        await boot
    for descriptor in started:
        assert select.select([descriptor], [], [], 0)[0]
        os.close(descriptor)
    assert children() == before


async def test_a_guest_that_switches_itself_off_is_no_success() -> None:
    async with await Lab.boot(["sh", "-c", "echo o > /proc/sysrq-trigger; sleep 1000"], progress=lambda _: None) as lab:
        with pytest.raises(LabError, match="switched off before its command ended") as error:
            await lab.wait()
    assert "Power Off" in error.value.console
