"""Pages and records of the trace ring buffer: recorded by a kernel, synthetic, damaged, random."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.agent.event_format import EventFormat, HitDecoder, ValueField
from explorer.agent.ring_buffer import PageLayout, RingBufferError, scan
from explorer.agent.row_code import context_name
from tests.ring_buffer_pages import (
    LAYOUT,
    MISSED_EVENTS,
    decode,
    discarded,
    event,
    format_of,
    hit,
    page,
    rest_is_empty,
    time_extend,
    time_stamp,
)

# What a 6.12 kernel says.
HEADER_PAGE = (
    "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
    "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
    "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
    "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n"
)
# Two events as a 6.12 kernel wrote them: do_sys_openat2 with
# comm=$comm v0=%di:s32 v1=+0(%si):string v2=%si:u64 v3=+0x100000000000(%di):u64 v4=+8(%di):u64 v5=+0(%di):string
RECORDED = bytes.fromhex(
    "00000000 7c000000 12060000 ad000000 6020249d ffffffff 38000800 9cffffff 40003600 b0c978f3 417f0000 00000000 "
    "00000000 00000000 00000000 76000000 70797468 6f6e3300 2f737973 2f6b6572 6e656c2f 74726163 696e672f 696e7374 "
    "616e6365 732f6578 702f6576 656e7473 2f67782f 65322f65 6e61626c 65000000 60c61514 7c000000 12060000 ad000000 "
    "6020249d ffffffff 38000800 9cffffff 40003600 b0c978f3 417f0000 00000000 00000000 00000000 00000000 76000000 "
    "70797468 6f6e3300 2f737973 2f6b6572 6e656c2f 74726163 696e672f 696e7374 616e6365 732f6578 702f6576 656e7473 "
    "2f67782f 65332f65 6e61626c 65000000"
)
RECORDED_FORMAT = format_of(
    1554, ("v0", 4, True), ("v1", 0, False), ("v2", 8, False), ("v3", 8, False), ("v4", 8, False), ("v5", 0, False)
)


def test_the_layout_of_a_page_is_read_from_the_kernel() -> None:
    assert PageLayout.parse(HEADER_PAGE) == LAYOUT


@pytest.mark.parametrize("text", ["", "field: u64 timestamp;", HEADER_PAGE.replace("size:4080", "size:99999999")])
def test_a_layout_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(RingBufferError):
        PageLayout.parse(text)


def test_what_a_kernel_recorded() -> None:
    recorded = page(80394587666, RECORDED)
    first, second = scan(LAYOUT, recorded).records
    assert (first[0], first[3]) == (80394587666, 1554)
    assert second[0] == 80394587666 + (0x1415C660 >> 5)
    decoder = HitDecoder(
        EventFormat.parse(RECORDED_FORMAT),
        [ValueField("v0", None), ValueField("v1", None), ValueField("v2", None), ValueField("v3", "v5")],
        ["v2"],
    )
    decoded = decode(decoder, recorded, second)
    assert (decoded.comm, decoded.tid, decoded.context) == ("python3", 173, "task")
    assert decoded.values == [-100, "/sys/kernel/tracing/instances/exp/events/gx/e3/enable", 0x7F41F378C9B0, None]
    assert decoded.registers == (0x7F41F378C9B0,)


def test_every_kind_of_record() -> None:
    long = struct.pack("<H", 7) + b"x" * 300
    written = page(
        1_000_000,
        event(5, struct.pack("<H", 1)),
        time_extend(1 << 30),
        event(0, long),
        discarded(9, 8),
        discarded(1, 0),
        event(1, struct.pack("<H", 2)),
        time_stamp(99 << 40),
        event(3, struct.pack("<H", 3)),
        rest_is_empty(),
        event(1, struct.pack("<H", 4)),
    )
    records = scan(LAYOUT, written).records
    after_pause = 1_000_005 + (1 << 30)
    assert [(time, number) for time, _, _, number in records] == [
        (1_000_005, 1), (after_pause, 7), (after_pause + 11, 2), ((99 << 40) + 3, 3),
    ]  # fmt: skip
    _, start, end, _ = records[1]
    assert written[start : start + len(long)] == long
    assert end - start == -(-len(long) // 4) * 4


def test_an_absolute_time_gets_its_top_bits_from_the_page() -> None:
    top = 3 << 59
    [record] = scan(LAYOUT, page(top + 1, time_stamp(5 << 30), event(2, b"\1\0"))).records
    assert record[0] == top + (5 << 30) + 2


def test_a_page_says_that_it_follows_a_loss() -> None:
    assert scan(LAYOUT, page(1, event(0, b"\1\0"), flags=MISSED_EVENTS)).follows_loss
    assert not scan(LAYOUT, page(1, event(0, b"\1\0"))).follows_loss


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\0" * 15,
        struct.pack("<QQ", 1, 4081) + b"\0" * 4080,
        page(1, struct.pack("<I", 28)),
        page(1, struct.pack("<II", 0, 4000)),
        page(1, struct.pack("<II", 0, 4), b"\0" * 8),
        page(1, struct.pack("<II", 0, 9), b"\0" * 8),
        page(1, struct.pack("<I", 30)),
        page(1, struct.pack("<I", 5 << 5 | 29)),
        page(1, struct.pack("<II", 5 << 5 | 29, 0)),
    ],
)
def test_damage_is_an_error(damaged: bytes) -> None:
    with pytest.raises(RingBufferError):
        scan(LAYOUT, damaged)


@pytest.mark.parametrize("registers", [["v1"], ["v2", "v0"], ["v2", "none"]])
def test_registers_that_do_not_lie_side_by_side_are_an_error(registers: list[str]) -> None:
    with pytest.raises(RingBufferError, match="one behind the other"):
        HitDecoder(EventFormat.parse(RECORDED_FORMAT), [], registers)


@given(st.binary(max_size=4200))
def test_garbage_is_an_error_or_records_within_the_page(garbage: bytes) -> None:
    try:
        records = scan(LAYOUT, garbage).records
    except RingBufferError:
        return
    position = LAYOUT.data_offset
    for _, start, end, _ in records:
        assert position < start < end <= len(garbage)
        position = end


@given(st.binary(min_size=0, max_size=200), st.integers(0, 65535))
def test_garbage_in_a_record_is_an_error_or_a_hit(data: bytes, number: int) -> None:
    decoder = HitDecoder(EventFormat.parse(RECORDED_FORMAT), [ValueField("v1", None), ValueField("v3", "v5")], ["v2"])
    written = page(1, event(0, struct.pack("<H", number) + data))
    [record] = scan(LAYOUT, written).records
    try:
        decoded = decode(decoder, written, record)
    except RingBufferError:
        return
    assert decoded.values[0] is None or isinstance(decoded.values[0], str)


def test_values_of_every_type() -> None:
    fields = [(f"v{index}", size, signed) for index, (size, signed) in enumerate(
        (size, signed) for size in (1, 2, 4, 8) for signed in (False, True)
    )]  # fmt: skip
    raw = b"".join((b"\xff" * (size - 1) + b"\xfe")[::-1] for _, size, _ in fields)
    written = page(1, event(0, hit(9, 42, raw, b"sh", b"text\xff\n", flags=0x10)))
    described = EventFormat.parse(format_of(9, *fields, ("v8", 0, False)))
    [record] = scan(LAYOUT, written).records
    decoder = HitDecoder(described, [ValueField(f"v{index}", None) for index in range(9)], [])
    decoded = decode(decoder, written, record)
    unsigned = [0xFE, 0xFFFE, 0xFFFFFFFE, 0xFFFFFFFFFFFFFFFE]
    assert decoded.values[:8:2] == unsigned
    assert decoded.values[1:8:2] == [-2, -2, -2, -2]
    assert decoded.values[8] == "text\udcff\n"
    assert (decoded.tid, decoded.comm, decoded.context, decoded.registers) == (42, "sh", "softirq", None)


@pytest.mark.parametrize("fault", [None, b"(fault)"])
def test_a_fault_is_null_however_the_kernel_marks_it(fault: bytes | None) -> None:
    described = EventFormat.parse(format_of(9, ("v0", 8, False), ("g0", 0, False), ("v1", 0, False)))
    written = page(1, event(0, hit(9, 1, b"stale!!!", b"sh", fault, fault)))
    [record] = scan(LAYOUT, written).records
    decoder = HitDecoder(described, [ValueField("v0", "g0"), ValueField("v1", None)], [])
    assert decode(decoder, written, record).values == [None, None]


def test_an_empty_text_is_no_fault() -> None:
    described = EventFormat.parse(format_of(9, ("v0", 1, False), ("g0", 0, False), ("v1", 0, False)))
    written = page(1, event(0, hit(9, 1, b"\x07", b"sh", b"", b"")))
    [record] = scan(LAYOUT, written).records
    decoder = HitDecoder(described, [ValueField("v0", "g0"), ValueField("v1", None)], [])
    assert decode(decoder, written, record).values == [7, ""]


@pytest.mark.parametrize(
    ("flags", "name"), [(0, "task"), (0x01, "task"), (0x10, "softirq"), (0x18, "irq"), (0x08, "irq"), (0x58, "nmi")]
)
def test_the_context_of_a_record(flags: int, name: str) -> None:
    assert context_name(flags) == name


@given(st.text())
def test_a_garbled_format_is_an_error_or_a_format(text: str) -> None:
    try:
        EventFormat.parse(text)
    except RingBufferError:
        return
    assert "ID: " in text
