"""A snapshot holds what the kernel said; whatever else is given for one is refused, in bounded memory."""

from __future__ import annotations

import datetime
import json
import os
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from explorer.agent import facts
from explorer.agent.protocol import Code
from explorer.commands.show import to_json
from explorer.errors import AgentError
from explorer.session.probe_spec import ProbeSpec
from explorer.session.session import Session
from explorer.session.snapshot import HEADER, LARGEST_FACT, MAGIC, VERSION, SnapshotError, SnapshotFile
from explorer.session.snapshot_packing import SnapshotBuilder
from explorer.session.snapshot_taking import take
from explorer.session.snapshot_target import SnapshotTarget
from symbols.errors import KexploreError
from tests.scripted_agent import FILLERS, FUNCTIONS, ScriptedAgent, ScriptedTarget, address

NAMES = [*FUNCTIONS, FILLERS[0], FILLERS[-1]]


def described(session: Session) -> list[dict[str, Any]]:
    """What ``show --json`` prints of some functions."""
    assert session.catalog is not None
    catalog = session.catalog
    found = [instance for name in NAMES for instance in catalog.instances(name)]
    return [to_json(each, catalog.prototype(each.symbol), catalog.verdict(each.symbol)) for each in found]


async def saved(agent: ScriptedAgent, path: Path, *, addresses: bool = True) -> list[dict[str, Any]]:
    """Take a snapshot; returns how the live kernel describes its functions."""
    session = Session(ScriptedTarget(agent))
    await session.open()
    path.write_bytes(b"".join((await take(session, addresses=addresses)).pieces()))
    await session.load()
    live = described(session)
    assert await session.close() == []
    return live


async def opened(path: Path) -> Session:
    session = Session(SnapshotTarget(path))
    await session.open()
    await session.load()
    return session


async def test_a_snapshot_says_what_the_kernel_said(tmp_path: Path) -> None:
    path = tmp_path / "kernel.kxs"
    live = await saved(ScriptedAgent(), path)
    session = await opened(path)
    assert described(session) == live
    assert {entry["verdict"]["kind"] for entry in live} == {"probeable"}
    assert session.search is not None
    assert session.hello is not None
    assert (session.hello.release, session.hello.machine) == ("6.12.0-test", "x86_64")
    assert await session.close() == []


async def test_why_a_kernel_takes_no_probes_stays_the_verdict(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    agent.cannot_probe("this kernel was built without CONFIG_KPROBES")
    live = await saved(agent, tmp_path / "kernel.kxs")
    session = await opened(tmp_path / "kernel.kxs")
    assert described(session) == live
    assert {entry["verdict"]["kind"] for entry in live} == {"kernel cannot"}
    await session.close()


async def test_nothing_is_armed_on_a_snapshot(tmp_path: Path) -> None:
    await saved(ScriptedAgent(), tmp_path / "kernel.kxs")
    session = await opened(tmp_path / "kernel.kxs")
    with pytest.raises(KexploreError, match=r"this is a snapshot, taken .* UTC: nothing is armed on it") as caught:
        await session.arm(ProbeSpec("vfs_read"))
    assert "on the machine that it was taken on" in caught.value.hint
    await session.close()


async def test_what_is_missing_keeps_its_reason(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    agent.refused["available_filter_functions"] = (Code.NOT_PERMITTED, "it can be read by root only", "run with sudo")
    del agent.facts["kprobe_blacklist"]
    await saved(agent, tmp_path / "kernel.kxs")
    session = await opened(tmp_path / "kernel.kxs")
    lacking = session.loading.failures["available_filter_functions"]
    assert lacking.message == "not in this snapshot: it can be read by root only"
    assert lacking.hint == "take the snapshot as root: sudo kexplore snapshot FILE"
    assert session.loading.failures["kprobe_blacklist"].message == "no kprobe_blacklist here", "a fact of the kernel"
    assert "not in this snapshot: it can be read by root only" in described(session)[0]["verdict"]["cause"]
    with pytest.raises(AgentError, match="not in this snapshot: kprobes is none of the facts"):
        await session.fact("kprobes")
    await session.close()


async def test_every_lasting_fact_is_asked_for_by_its_name(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    agent.facts["btf"] = b"ext4\nvmlinux\n"
    await saved(agent, tmp_path / "kernel.kxs")
    file = SnapshotFile(tmp_path / "kernel.kxs")
    assert {*file.facts, *file.missing} == {*facts.STANDING, "btf:vmlinux", "btf:ext4"}
    assert {name: b"".join(file.unpack(fact)) for name, fact in file.facts.items()} == agent.facts
    file.close()


async def test_addresses_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "STANDING", (*facts.STANDING, "something_new"))
    agent = ScriptedAgent()
    first = address("vfs_read")
    agent.facts["kprobe_blacklist"] = f"0x{first:x}-0x{first + 16:x}\tvfs_read\n".encode()
    agent.facts["modules"] = f"ext4 4096 1 - Live 0x{first:016x}\n".encode()
    agent.facts["something_new"] = agent.facts["kallsyms"]
    path = tmp_path / "kernel.kxs"
    await saved(agent, path, addresses=False)
    file = SnapshotFile(path)
    held = b"".join(b"".join(file.unpack(fact)) for fact in file.facts.values())
    assert "something_new" in file.missing, "nobody has said that it holds no addresses"
    file.close()
    assert f"{first:x}"[:8].encode() not in held
    session = await opened(path)
    assert session.catalog is not None
    assert session.hello is not None
    assert session.catalog.addresses_hidden
    assert session.hello.addresses_hidden_by == "left out of the snapshot"
    assert described(session)[0]["verdict"]["kind"] == "blacklisted", "by its name then"
    await session.close()


# Damage and malice

HELLO = ScriptedAgent().hello()
TAKEN = datetime.datetime(2026, 5, 4, 3, 2, 1, tzinfo=datetime.UTC)


def built(**held: bytes) -> bytes:
    builder = SnapshotBuilder(HELLO, TAKEN, addresses_left_out=False)
    for name, data in held.items():
        builder.add(name, data)
    return b"".join(builder.pieces())


def rewritten(change: Callable[[dict[str, Any]], object], tail: bytes = b"", **held: bytes) -> bytes:
    """A snapshot whose index was changed by somebody who knows how to make checksums."""
    data = built(**held)
    _, _, length, _ = HEADER.unpack_from(data)
    index = json.loads(data[HEADER.size : HEADER.size + length])
    change(index)
    return indexed(json.dumps(index).encode(), data[HEADER.size + length :] + tail)


def indexed(text: bytes, packed: bytes = b"", version: int = VERSION) -> bytes:
    return HEADER.pack(MAGIC, version, len(text), zlib.crc32(text)) + text + packed


def refused(path: Path, data: bytes) -> str:
    """How a file with this content is refused, when it is opened or when its facts are read."""
    path.write_bytes(data)
    with pytest.raises(SnapshotError) as caught:
        read_all(path)
    assert caught.value.hint
    return caught.value.message


def read_all(path: Path) -> None:
    file = SnapshotFile(path)
    try:
        for fact in file.facts.values():
            for _ in file.unpack(fact):
                pass
    finally:
        file.close()


def test_damage_is_refused_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "kernel.kxs"
    whole = built(kallsyms=b"0000000000000000 T a\n" * 50, modules=b"")
    path.write_bytes(whole)
    read_all(path)
    for end in range(len(whole)):
        refused(path, whole[:end])
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        refused(path, bytes(flipped))
    refused(path, whole + b"\0")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is no snapshot"),
        (b"\x7fELF" * 10, "is no snapshot"),
        (indexed(b"{}", version=2), "is a snapshot of format 2, this kexplore reads 1"),
        (HEADER.pack(MAGIC, VERSION, 0xFFFFFFFF, 0), "reaches beyond its end"),
        (indexed(b"[" * 100_000), "no JSON"),
        (indexed(b"[]"), "no object"),
        (indexed(b"{}"), "not understood"),
        (indexed(b'{"taken": ' + b"9" * 5000 + b"}"), "no JSON"),
        (rewritten(lambda i: i["facts"].append(i["facts"][0]), modules=b"x"), "stands there twice"),
        (rewritten(lambda i: i["facts"][0].update(size=LARGEST_FACT + 1), modules=b"x"), "claims 67,108,865 bytes"),
        (rewritten(lambda i: i["facts"][0].update(size=-1), modules=b"x"), "is no size"),
        (rewritten(lambda i: i["facts"][0].update(size=True), modules=b"x"), "is no size"),
        (rewritten(lambda i: i["facts"][0].update(packed=1 << 31), modules=b"x"), "claims 1 bytes"),
        (rewritten(lambda i: i["facts"][0].update(name="../etc"), modules=b"x"), "is no name"),
        (rewritten(lambda i: i["facts"][0].update(size=2), modules=b"x"), "does not unpack to 2 bytes"),
        (rewritten(lambda i: i["facts"][0].update(size=0), modules=b"x"), "does not unpack to 0 bytes"),
        (rewritten(lambda i: i.update(facts=[1])), "not understood"),
        (rewritten(lambda i: i.update(taken="2026-05-04T03:02:01")), "no zone"),
        (rewritten(lambda i: i["hello"]["kernel"].update(release="6\x1b[2J")), "cannot be shown"),
        (rewritten(lambda i: i["hello"]["kernel"].update(release=["6"])), "release is no text"),
        (rewritten(lambda i: i.update(hello=[])), "not understood"),
        (rewritten(lambda i: None, tail=b"x"), "the file at"),
    ],
)  # fmt: skip
def test_what_is_no_sound_snapshot_is_refused(data: bytes, words: str, tmp_path: Path) -> None:
    assert words in refused(tmp_path / "kernel.kxs", data)


def test_nothing_unpacks_beyond_what_it_claims(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(512 << 20), 9)
    entry = {"name": "kallsyms", "packed": len(bomb), "crc": zlib.crc32(bomb)}
    for size in (LARGEST_FACT, len(bomb)):
        data = rewritten(lambda i, size=size: i["facts"].append({**entry, "size": size}), bomb)  # type: ignore[misc]
        tracemalloc.start()
        try:
            assert f"does not unpack to {size:,} bytes" in refused(tmp_path / "bomb.kxs", data)
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()


def test_all_facts_together_have_a_limit(tmp_path: Path) -> None:
    def claim(index: dict[str, Any]) -> None:
        index["facts"] = [{"name": f"btf:{n}", "size": LARGEST_FACT, "packed": 0, "crc": 0} for n in range(5)]

    assert "more than 256 MiB" in refused(tmp_path / "kernel.kxs", rewritten(claim))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(SnapshotError, match="no regular file"):
            SnapshotFile(path)
    with pytest.raises(SnapshotError, match="No such file"):
        SnapshotFile(tmp_path / "absent")


async def test_a_damaged_fact_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "kernel.kxs"
    await saved(ScriptedAgent(), path)
    file = SnapshotFile(path)
    start = file.facts["btf:vmlinux"].start
    file.close()
    data = bytearray(path.read_bytes())
    data[start + 5] ^= 1
    path.write_bytes(data)
    session = await opened(path)
    assert "the checksum of btf:vmlinux is wrong" in session.loading.failures["btf:vmlinux"].message
    assert session.catalog is not None
    await session.close()
