"""Writes trace ring-buffer pages as a 64-bit little-endian kernel does, for tests of the decoder."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from explorer.agent import protocol
from explorer.agent.event_format import HitDecoder
from explorer.agent.processes import ProcessTable
from explorer.agent.ring_buffer import PageLayout, Record
from explorer.agent.row_code import Row

LAYOUT = PageLayout(commit_offset=8, commit_size=8, data_offset=16, data_size=4080)
MISSED_EVENTS = 1 << 31


def page(time: int, *records: bytes, flags: int = 0) -> bytes:
    """A page that begins at a time."""
    data = b"".join(records)
    return (struct.pack("<QQ", time, len(data) | flags) + data).ljust(LAYOUT.size, b"\xee")


def event(delta: int, data: bytes) -> bytes:
    """A record with data, in whichever of the two forms its length asks for."""
    padded = data.ljust(max(4, -(-len(data) // 4) * 4), b"\0")
    if len(padded) <= 28 * 4:
        return struct.pack("<I", delta << 5 | len(padded) // 4) + padded
    return struct.pack("<II", delta << 5, len(padded) + 4) + padded


def time_extend(delta: int) -> bytes:
    """A pause too long for 27 bits."""
    return struct.pack("<II", (delta & 0x7FFFFFF) << 5 | 30, delta >> 27)


def time_stamp(absolute: int) -> bytes:
    """An absolute time, without its top five bits."""
    return struct.pack("<II", (absolute & 0x7FFFFFF) << 5 | 31, absolute >> 27 & 0xFFFFFFFF)


def discarded(delta: int, length: int) -> bytes:
    """A record that was given up after it was reserved; ``length`` bytes of data."""
    return struct.pack("<II", delta << 5 | 29, length + 4) + b"\xff" * length


def rest_is_empty() -> bytes:
    """Padding to the end of the page."""
    return struct.pack("<I", 29)


def hit(event_id: int, tid: int, fixed: bytes, comm: bytes, *texts: bytes | None, flags: int = 0) -> bytes:
    """A record of a probe: ip, comm, ``fixed`` fields, then one text field for each of ``texts`` (None: a fault)."""
    head = struct.pack("<HBBiQ", event_id, flags, 0, tid, 0xFFFFFFFF81000000)
    position = len(head) + 4 + len(fixed) + 4 * len(texts)
    locations, tail = [], b""
    for text in (comm, *texts):
        ended = b"" if text is None else text + b"\0"
        locations.append(struct.pack("<I", len(ended) << 16 | position + len(tail)))
        tail += ended
    return head + locations[0] + fixed + b"".join(locations[1:]) + tail


def format_of(event_id: int, *fields: tuple[str, int, bool]) -> str:
    """A format file for ``hit``: fields (name, size, signed) after ``comm``; size 0 is a text."""
    lines = [
        "name: e",
        f"ID: {event_id}",
        "format:",
        "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;",
        "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;",
        "\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;",
        "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;",
        "",
        "\tfield:unsigned long __probe_ip;\toffset:8;\tsize:8;\tsigned:0;",
        "\tfield:__data_loc char[] comm;\toffset:16;\tsize:4;\tsigned:1;",
    ]
    offset = 20
    for name, size, signed in fields:
        kind = f"{'s' if signed else 'u'}{8 * size}" if size else "__data_loc char[]"
        lines.append(f"\tfield:{kind} {name};\toffset:{offset};\tsize:{size or 4};\tsigned:{int(signed or not size)};")
        offset += size or 4
    return "\n".join([*lines, "", 'print fmt: "(%lx)", REC->__probe_ip', ""])


class Hit(NamedTuple):
    """What a row says of one record."""

    tid: int
    comm: str
    context: str
    values: list[Any]
    registers: tuple[int, ...] | None


def decode(decoder: HitDecoder, written: bytes, record: Record) -> Hit:
    """One record by way of its row."""
    rows: list[Row] = []
    decoder.rows(written, [record], 3, 7, ProcessTable("/nonexistent"), rows.append)
    [[probe, time, cpu, tid, _, comm, context, values, registers]] = rows
    assert (probe, time, cpu) == (7, record[0], 3)
    return Hit(tid, comm, context, values, None if registers is None else protocol.unpack_registers(registers.hex()))
