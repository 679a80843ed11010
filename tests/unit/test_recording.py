"""A recording plays back what was said; damage is told."""

from __future__ import annotations

import asyncio
import lzma
from pathlib import Path

import pytest

from explorer.agent import protocol
from explorer.errors import AgentError
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.recording import Recorder, RecordingError, ReplayTarget
from explorer.session.session import Session
from tests.scripted_agent import AT_FDCWD, ScriptedAgent, ScriptedTarget

OPEN = ProbeSpec("do_sys_openat2")
OPENED: list[int | str | None] = [AT_FDCWD, 0x7FFE12345678, "/etc/passwd", 0xFFFF888112340000]


async def until_event(session: Session, number: int) -> None:
    async with asyncio.timeout(10):
        while session.journal.last_number < number:
            await asyncio.sleep(0)


@pytest.fixture
async def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "session.kxr"
    agent = ScriptedAgent()
    session = Session(Recorder(ScriptedTarget(agent), path))
    await session.open()
    await session.load()
    await session.arm(OPEN)
    await session.arm(ProbeSpec("do_sys_openat2", kind=ProbeKind.RETURN))
    agent.hit("do_sys_openat2", [*OPENED], times=2)
    agent.hit("do_sys_openat2", [-2], kind="return")
    agent.count("do_sys_openat2", missed=7)
    await until_event(session, 3)
    await session.disarm(OPEN)
    await session.close()
    return path


async def test_the_same_facts_probes_and_events_come_back(recorded: Path) -> None:
    session = Session(ReplayTarget(recorded, pace=0.05))  # so slow that both probes are armed before the first hit
    hello = await session.open()
    await session.load()
    assert hello.release == "6.12.0-test"
    assert session.catalog is not None
    assert "filename" in session.catalog.prototype(session.catalog.find("do_sys_openat2")[0]).text
    await session.arm(OPEN)
    await session.arm(ProbeSpec("do_sys_openat2", kind=ProbeKind.RETURN))
    await until_event(session, 3)
    assert [value.text for value in session.describe(session.journal[1])][1] == '"/etc/passwd"'
    assert [value.text for value in session.describe(session.journal[3])] == ["-ENOENT"]
    async with asyncio.timeout(10):
        while session.probes[OPEN].counters.missed < 7:
            await asyncio.sleep(0)
    probe = await session.disarm(OPEN)
    assert probe is not None
    assert (probe.counters.hits, probe.counters.missed) == (2, 7)
    assert await session.close() == []


async def test_what_was_not_recorded_is_refused_with_what_was(recorded: Path) -> None:
    session = Session(ReplayTarget(recorded))
    await session.open()
    await session.load()
    with pytest.raises(AgentError, match="holds no events of vfs_read") as caught:
        await session.arm(ProbeSpec("vfs_read"))
    assert "do_sys_openat2" in caught.value.hint
    await session.close()


async def refusal(path: Path) -> str:
    session = Session(ReplayTarget(path))
    with pytest.raises(RecordingError) as caught:
        await session.open()
    await session.close()
    return caught.value.message


async def test_damage_is_told(recorded: Path, tmp_path: Path) -> None:
    whole = recorded.read_bytes()
    broken = tmp_path / "broken.kxr"
    broken.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in await refusal(broken)
    broken.write_bytes(b"not even packed")
    assert "damaged" in await refusal(broken)
    broken.write_bytes(lzma.compress(protocol.encode({"op": "recording", "format": 1})))
    assert "no recording of this version" in await refusal(broken)
    broken.write_bytes(lzma.compress(lzma.decompress(whole)[:-5]))
    assert "ends in the middle" in await refusal(broken)
    broken.write_bytes(lzma.compress(protocol.encode({"op": "recording", "format": 2})))
    assert "holds no session" in await refusal(broken)


@pytest.mark.parametrize("registers", ["00" * 8, "0" * 337, "zz" * 168, " " * 336, 5, [0] * 21])
async def test_rows_with_other_registers_are_damage(recorded: Path, registers: object) -> None:
    """The inspector reads them long after the recording was opened."""
    frames = list(protocol.Decoder(1 << 24, 1 << 24).feed(lzma.decompress(recorded.read_bytes())))
    for message, _ in frames:
        if message.get("message", {}).get("op") == "batch":
            for row in message["message"]["rows"]:
                row[8] = registers
    recorded.write_bytes(lzma.compress(b"".join(protocol.encode(message, blob) for message, blob in frames)))
    assert "damaged: a message is not understood" in await refusal(recorded)


async def test_a_second_hello_is_damage(recorded: Path) -> None:
    """What came before it was checked against the first."""
    frames = list(protocol.Decoder(1 << 24, 1 << 24).feed(lzma.decompress(recorded.read_bytes())))
    [hello] = [
        frame for frame in frames if frame[0].get("message", {}).get("op") == "hello" and frame[0]["from"] == "agent"
    ]
    recorded.write_bytes(lzma.compress(b"".join(protocol.encode(*frame) for frame in [*frames, hello])))
    assert "a second hello" in await refusal(recorded)
