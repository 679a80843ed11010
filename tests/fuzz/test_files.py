"""Files that come from anywhere, recordings and snapshots: what is damaged or made up is refused."""

from __future__ import annotations

import datetime
import functools
import json
import lzma
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.agent import protocol
from explorer.session.hello import Hello
from explorer.session.recording import Recording
from explorer.session.snapshot import HEADER, MAGIC, VERSION, SnapshotFile
from explorer.session.snapshot_packing import SnapshotBuilder
from tests.fuzz.bounds import survived
from tests.fuzz.mutation import mutated
from tests.scripted_agent import REGISTERS, ScriptedAgent

_AGENT = ScriptedAgent()
_PACKED = 1 << 20
"""Bytes that unpacking takes, whatever it is: the state of zlib or xz, and a piece before and after."""
_XZ = 24 << 20
"""Bytes: xz keeps its dictionary of 8 MB twice."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "file"


# Snapshots


def snapshot() -> bytes:
    builder = SnapshotBuilder(
        _AGENT.hello(), datetime.datetime(2026, 5, 4, tzinfo=datetime.UTC), addresses_left_out=False
    )
    for name, data in _AGENT.facts.items():
        builder.add(name, data)
    return b"".join(builder.pieces())


def index() -> bytes:
    data = snapshot()
    return data[HEADER.size : HEADER.size + HEADER.unpack_from(data)[2]]


def read_snapshot(path: Path) -> int:
    """Bytes that its facts really unpack to."""
    file = SnapshotFile(path)
    try:
        return sum(len(piece) for fact in file.facts.values() for piece in file.unpack(fact))
    finally:
        file.close()


@given(damaged=mutated([snapshot()]))
def test_snapshots(place: Path, damaged: bytes) -> None:
    place.write_bytes(damaged)
    survived(lambda data: read_snapshot(place), damaged, floor=_PACKED)


@given(damaged=mutated([index()]), packed=mutated([snapshot()[HEADER.size + len(index()) :]]))
def test_snapshots_by_somebody_who_makes_checksums(place: Path, damaged: bytes, packed: bytes) -> None:
    data = HEADER.pack(MAGIC, VERSION, len(damaged), zlib.crc32(damaged)) + damaged + packed
    place.write_bytes(data)
    survived(lambda data: read_snapshot(place), data, floor=_PACKED)


@given(damaged=mutated([zlib.compress(bytes(1 << 20)), zlib.compress(b"vfs_read\n" * 999), zlib.compress(b"")]),
       size=st.sampled_from((0, 1, 8991, 1 << 20, 64 << 20)))  # fmt: skip
def test_packed_facts_by_somebody_who_makes_checksums(place: Path, damaged: bytes, size: int) -> None:
    described = json.loads(index())
    fact = {"name": "kallsyms", "size": size, "packed": len(damaged), "crc": zlib.crc32(damaged)}
    text = json.dumps({**described, "facts": [fact]}).encode()
    data = HEADER.pack(MAGIC, VERSION, len(text), zlib.crc32(text)) + text + damaged
    place.write_bytes(data)
    unpacked = survived(lambda data: read_snapshot(place), data, floor=_PACKED)
    assert unpacked in (None, size)


# Recordings and the protocol beneath both


def entry(sender: str, message: protocol.Message, blob: bytes = b"") -> bytes:
    return protocol.encode({"op": "entry", "t": 0.5, "from": sender, "message": message}, blob)


@functools.cache
def frames() -> bytes:
    probe = {"symbol": "vfs_read", "module": "", "offset": 0, "kind": "entry", "values": [], "registers": False}
    row = [1, 5, 0, 7, 7, "cat", "task", [3], "0f" * 8 * len(REGISTERS)]
    return b"".join(
        [
            protocol.encode({"op": "recording", "format": 2}),
            entry("agent", _AGENT.hello()),
            entry("explorer", protocol.fact_request(1, "modules")),
            entry("agent", {"op": "fact", "id": 1, "encoding": "raw", "last": True}, b"ext4 1 1 - Live 0x0\n"),
            entry("explorer", {"op": "arm", "id": 2, "probe": probe}),
            entry("agent", {"op": "armed", "id": 2, "probe": 1, "event": "kx1", "definition": ""}),
            entry("agent", {"op": "batch", "counters": {"1": [1, 0, 0, 0, 0]}, "lost": 0, "rows": [row]}),
        ]
    )


@given(damaged=mutated([lzma.compress(frames(), preset=0)]))
def test_recordings(place: Path, damaged: bytes) -> None:
    place.write_bytes(damaged)
    survived(lambda data: Recording.read(place), damaged, floor=_XZ)


@given(damaged=mutated([frames()]))
def test_what_is_packed_in_recordings(place: Path, damaged: bytes) -> None:
    place.write_bytes(lzma.compress(damaged, preset=0))
    survived(lambda data: Recording.read(place), damaged, floor=_XZ)


@given(st.data())
def test_messages_in_recordings(place: Path, data: st.DataObject) -> None:
    """Frames that are sound, in which any member of any message may be anything."""
    decoder = protocol.Decoder(protocol.MAX_ANSWER, protocol.MAX_ANSWER)
    written = []
    for message, blob in decoder.feed(frames()):
        spoilt = message
        if data.draw(st.booleans()):
            inner = dict(message.get("message", message))
            inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(_JSON)
            spoilt = {**message, "message": inner} if "message" in message else inner
        written.append(protocol.encode({**spoilt, "op": message["op"]}, blob))
    place.write_bytes(lzma.compress(b"".join(written), preset=0))
    survived(lambda data: Recording.read(place), b"".join(written), floor=_XZ)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_first_messages(data: st.DataObject) -> None:
    message = _AGENT.hello()
    part = data.draw(st.sampled_from([message, message["kernel"], message["probing"]]))
    part[data.draw(st.sampled_from(sorted(part)))] = data.draw(_JSON)
    survived(lambda ignored: Hello.from_message(message), b"")


@given(mutated([frames()]))
def test_frames(data: bytes) -> None:
    def decode(data: bytes) -> object:
        try:
            return list(protocol.Decoder(protocol.MAX_ANSWER, protocol.MAX_ANSWER).feed(data))
        except protocol.ProtocolError:
            return None

    survived(decode, data)
