"""The compiled decoder of rows against the slow and obvious way, over whatever records."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from explorer.agent.event_format import EventFormat, Field, HitDecoder, ValueField
from explorer.agent.ring_buffer import Record, RingBufferError, scan
from explorer.agent.row_code import Texts, context_name
from tests.ring_buffer_pages import LAYOUT, Hit, decode, event, format_of, hit, page

Kind = tuple[str, int, bool]
KINDS = st.sampled_from([
    ("number", size, signed) for size in (1, 2, 4, 8) for signed in (False, True)
] + [("text", 0, False), ("read", 8, False), ("read", 2, True)])  # fmt: skip
TEXTS = st.none() | st.sampled_from([b"", b"(fault)", b"/etc/passwd", b"a\0b", b"\x1b[31m\n", b"\xff\xfe", b"x" * 300])


class Probe:
    """A probe with values of some kinds: its format, its decoder, and what they are read from."""

    def __init__(self, kinds: list[Kind], registers: bool) -> None:
        fields: list[Kind] = []
        self.values: list[ValueField] = []
        for number, (what, size, signed) in enumerate(kinds):
            fields.append((f"v{number}", size, signed))
            if what == "read":
                fields.append((f"g{number}", 0, False))
            self.values.append(ValueField(f"v{number}", f"g{number}" if what == "read" else None))
        self.registers = [f"r{number}" for number in range(3)] if registers else []
        fields += [(name, 8, False) for name in self.registers]
        self.format = EventFormat.parse(format_of(9, *fields))
        self.decoder = HitDecoder(self.format, self.values, self.registers)


def obviously(probe: Probe, written: bytes, record: Record) -> Hit:
    """Each field by itself, as its description says."""
    data = written[record[1] : record[2]]

    def number(field: Field) -> int:
        piece = data[field.offset : field.offset + field.size]
        if len(piece) < field.size:
            raise RingBufferError("short")
        return int.from_bytes(piece, "little", signed=field.signed)

    def text(name: str) -> str | None:
        length, offset = divmod(number(probe.format.fields[name]), 1 << 16)
        if offset < max(field.offset + field.size for field in probe.format.fields.values()) or offset + length > len(
            data
        ):
            raise RingBufferError("outside")
        piece = data[offset : offset + length]
        if piece in (b"", b"(fault)\0"):
            return None
        return piece.split(b"\0")[0].decode("utf-8", "surrogateescape")

    values: list[int | str | None] = []
    for name, guard in probe.values:
        if probe.format.fields[name].dynamic:
            values.append(text(name))
        else:
            faulted = guard is not None and text(guard) is None
            values.append(None if faulted else number(probe.format.fields[name]))
    registers = tuple(number(probe.format.fields[name]) for name in probe.registers) or None
    flags, tid = number(probe.format.fields["common_flags"]), number(probe.format.fields["common_pid"])
    return Hit(tid, text("comm") or "", context_name(flags), values, registers)


@st.composite
def recorded(draw: st.DrawFn) -> tuple[Probe, bytes]:
    """A probe, and a record of it: as a kernel writes it, or with damage, or random."""
    kinds = draw(st.lists(KINDS, max_size=6))
    probe = Probe(kinds, draw(st.booleans()))
    # Texts have their locations among the numbers: laid out by hand, one behind the other.
    position = 20 + sum(size or 4 for _, size, _ in kinds) + 4 * sum(what == "read" for what, _, _ in kinds)
    position += 8 * len(probe.registers)
    fixed, tail = b"", b""
    comm = draw(st.binary(min_size=1, max_size=15)) + b"\0"
    texts = [comm]
    for what, size, _ in kinds:
        fixed += draw(st.binary(min_size=size, max_size=size))
        if what != "number":
            chosen = draw(TEXTS)
            texts.append(b"" if chosen is None else chosen + b"\0")
            fixed += struct.pack("<I", len(texts[-1]) << 16 | position + len(b"".join(texts[:-1])))
    fixed += draw(st.binary(min_size=8 * len(probe.registers), max_size=8 * len(probe.registers)))
    tail = b"".join(texts)
    head = struct.pack(
        "<HBBiQI", 9, draw(st.integers(0, 255)), 0, draw(st.integers(0, 4_000_000)), 0, len(comm) << 16 | position
    )
    data = bytearray(head + fixed + tail)
    for _ in range(draw(st.integers(0, 2))):
        data[draw(st.integers(2, len(data) - 1))] = draw(st.integers(0, 255))
    return probe, bytes(data[: draw(st.sampled_from([len(data), len(data), draw(st.integers(2, len(data)))]))])


@given(recorded())
def test_rows_are_what_the_fields_say(drawn: tuple[Probe, bytes]) -> None:
    probe, data = drawn
    written = page(1_000, event(17, data))
    [record] = scan(LAYOUT, written).records
    try:
        expected: Hit | None = obviously(probe, written, record)
    except RingBufferError:
        expected = None
    try:
        found: Hit | None = decode(probe.decoder, written, record)
    except RingBufferError:
        found = None
    assert found == expected


def test_a_decoder_gives_many_records_in_the_order_in_which_it_gets_them() -> None:
    probe = Probe([("number", 4, True)], registers=False)
    records = [hit(9, tid, struct.pack("<i", -tid), b"sh", flags=tid % 2 * 0x10) for tid in range(1, 40)]
    written = page(5, *(event(1, each) for each in records))
    rows: list[list[object]] = []
    newest_first = scan(LAYOUT, written).records[::-1]
    probe.decoder.rows(written, newest_first, 1, 2, {tid: tid + 1 for tid in range(40)}, rows.append)
    assert rows[0] == [2, 5 + 39, 1, 39, 40, "sh", "softirq", [-39], None]
    assert [row[3] for row in rows] == list(range(39, 0, -1))


@given(st.lists(st.binary(max_size=200), max_size=50))
def test_texts_are_remembered_within_limits(read: list[bytes]) -> None:
    texts = Texts()
    for number in range(5000):
        assert texts[b"%d\0" % number] == str(number)
    for data in read:
        assert texts[data] == texts[data]
    assert len(texts) <= 1024
    assert max(map(len, texts)) <= 128
