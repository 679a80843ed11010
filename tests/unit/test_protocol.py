"""Frames: whatever is sent arrives, whatever else arrives is an error."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.agent.protocol import Decoder, Message, ProtocolError, encode, unpack_registers

LIMIT = 4096
_SCALARS: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers(-(1 << 64), 1 << 64) | st.text(max_size=20)
_MESSAGES = st.dictionaries(st.text(max_size=8), _SCALARS | st.lists(_SCALARS, max_size=4), max_size=4).map(
    lambda members: {**members, "op": "any"}
)


@given(st.lists(st.tuples(_MESSAGES, st.binary(max_size=50)), max_size=5), st.integers(1, 40))
def test_frames_survive_any_cutting(frames: list[tuple[Message, bytes]], piece: int) -> None:
    stream = b"".join(encode(message, blob) for message, blob in frames)
    decoder = Decoder(LIMIT, LIMIT)
    pieces = [stream[start : start + piece] for start in range(0, len(stream), piece)]
    assert [frame for each in pieces for frame in decoder.feed(each)] == frames
    assert not decoder.partial


def test_bytes_that_are_no_text_survive_as_lone_surrogates() -> None:
    hostile = b"/tmp/\xff\xfe\x1b[31m".decode("utf-8", "surrogateescape")
    [(message, _)] = Decoder(LIMIT, 0).feed(encode({"op": "x", "name": hostile}))
    assert message["name"].encode("utf-8", "surrogateescape") == b"/tmp/\xff\xfe\x1b[31m"


@given(st.binary(max_size=200))
def test_garbage_is_an_error_or_waits_for_more(garbage: bytes) -> None:
    decoder = Decoder(LIMIT, 0)
    try:
        for message, blob in decoder.feed(garbage):
            assert isinstance(message["op"], str)
            assert blob == b""
    except ProtocolError:
        pass


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{}", b'{"op":1}', b"{", b"\xff", b"[" * 2000, b'{"op":"x"}{}'])
def test_what_is_no_message_is_an_error(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Decoder(LIMIT, 0).feed(struct.pack("!II", len(text), 0) + text))


def test_frames_over_the_limit_are_refused_before_they_arrive() -> None:
    with pytest.raises(ProtocolError):
        list(Decoder(LIMIT, 0).feed(struct.pack("!II", LIMIT + 1, 0)))
    with pytest.raises(ProtocolError):
        list(Decoder(LIMIT, 0).feed(struct.pack("!II", 10, 1)))


def test_a_frame_is_ascii_whatever_it_carries() -> None:
    frame = encode({"op": "x", "name": "ä\udcff"})
    assert json.loads(frame[8:].decode("ascii"))["name"] == "ä\udcff"


@given(st.lists(st.integers(0, (1 << 64) - 1)))
def test_registers_are_read_as_a_little_endian_kernel_wrote_them(saved: list[int]) -> None:
    assert unpack_registers(struct.pack(f"<{len(saved)}Q", *saved).hex()) == tuple(saved)


@pytest.mark.parametrize("text", ["0", "00", "0" * 15, "0" * 17, "g" * 16, "00 " * 8, " " * 16])
def test_registers_are_whole_words(text: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        unpack_registers(text)
