"""Damaged data: real data with a few bytes changed, pieces cut out, moved, repeated, or taken from other data."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

_EDITS = 6
_INTERESTING = (
    b"\0", b"\xff", b"\x7f", b"\x80", b"\n", b"\t", b" ", b"[", b"]", b"(", b")", b"0", b"-", b";", b"\r", b"\x1b[2J",
    b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x01\x00\x00\x00", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80",
    b"9" * 25, b"9" * 5000, b"f" * 17, b"a" * 3000, b" " * 3000, b"A " * 1500, b"()" * 500, b"\n" * 500,
    "²".encode(), "٣".encode(), b"\xed\xb2\x80",
)  # fmt: skip
"""Ends of ranges, separators, digits that are none to everybody, and runs that make a careless pattern slow."""


@st.composite
def mutated(draw: st.DrawFn, samples: Sequence[bytes]) -> bytes:
    """One of the samples, changed in up to six places."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(0, _EDITS))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.sampled_from((0, 1, 1, 4, 12, 100)))
        match draw(st.integers(0, 5)):
            case 0:
                data[start : start + length] = draw(st.sampled_from(_INTERESTING))
            case 1:
                data[start : start + length] = draw(st.binary(max_size=12))
            case 2:
                del data[start : start + length]
            case 3:
                data[start:start] = data[start : start + length] * draw(st.integers(1, 20))
            case 4:
                other = draw(st.sampled_from(samples))
                begin = draw(st.integers(0, len(other)))
                data[start:start] = other[begin : begin + length]
            case _:
                del data[start:]
    return bytes(data)
