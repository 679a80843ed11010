"""The bpf program's ring buffer, written here as the kernel writes it, and what becomes of its records."""

from __future__ import annotations

import mmap
import os
import struct
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.agent import bpf_layout
from explorer.agent.bpf_intake import Intake
from explorer.agent.bpf_newest import NewestRecords
from explorer.agent.bpf_probe import BpfProbe, Place
from explorer.agent.bpf_ring import Batch, RingBuffer
from explorer.agent.probe_definition import parse
from tests.benchmarks.bpf_records import FullBuffer

PAGE = mmap.PAGESIZE
SIZE = 4 * PAGE
BUSY, DISCARDED = 1 << 31, 1 << 30


class Kernel:
    """The other side: writes records into shared memory whose data stand there twice."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("ring")
        os.ftruncate(self.descriptor, 2 * PAGE + 2 * SIZE)
        self.end = 0

    def write(self, record: bytes, flag: int = 0) -> int:
        """One more record, if there is room; where it stands."""
        size = (8 + len(record) + 7) & ~7
        if self.end + size - self.taken > SIZE:
            return -1
        place, self.end = self.end, self.end + size
        self._put(place, struct.pack("=II", len(record) | flag, 0) + record)
        os.pwrite(self.descriptor, struct.pack("=Q", self.end), PAGE)
        return place

    def finish(self, place: int, length: int) -> None:
        """A record that was being written is whole."""
        self._put(place, struct.pack("=I", length))

    @property
    def taken(self) -> int:
        """What the reader gave back."""
        position: int = struct.unpack("=Q", os.pread(self.descriptor, 8, 0))[0]
        return position

    def _put(self, place: int, data: bytes) -> None:
        for index, byte in enumerate(data):
            at = (place + index) % SIZE
            for where in (at, at + SIZE):
                os.pwrite(self.descriptor, bytes([byte]), 2 * PAGE + where)


def record(slot: int, time: int, length: int = 0) -> bytes:
    head = bpf_layout.HEAD.pack(time, 0, slot, time & 0xFFFF, 1, 0, 0, 0, 0, 0, b"cat")
    return head + bytes(8) + bytes(length)


def probe(slot: int) -> BpfProbe:
    request = parse(
        {"symbol": "f", "kind": "entry", "values": [{"register": "ax", "type": "u64"}], "engine": "bpf"}, "x86_64"
    )
    return BpfProbe(100 + slot, slot, request, Place("f", 0, "f"))


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    written = Kernel()
    yield written
    os.close(written.descriptor)


def intake(kernel: Kernel, *slots: int) -> tuple[Intake, dict[int, BpfProbe]]:
    probes = {slot: probe(slot) for slot in slots}
    opened = Intake(probes)
    opened.open(RingBuffer(kernel.descriptor, SIZE))
    return opened, probes


ROUNDS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(1, 3), st.integers(0, 900), st.booleans()), max_size=30), st.integers(0, 12)
    ),
    max_size=8,
)


@given(ROUNDS)
def test_each_record_is_counted_once_and_the_newest_become_rows(
    rounds: list[tuple[list[tuple[int, int, bool]], int]],
) -> None:
    """However often it goes round the buffer; slot 3 is nobody's, and some records were discarded."""
    kernel = Kernel()
    opened, probes = intake(kernel, 1, 2)
    time, expected = 0, Counter[int]()
    for wanted, most in rounds:
        written: list[tuple[int, int]] = []
        for slot, length, discard in wanted:
            time += 1
            if kernel.write(record(slot, time, length), DISCARDED if discard else 0) >= 0 and not discard and slot < 3:
                written.append((100 + slot, time))
        expected.update(number for number, _ in written)
        assert opened.drain(most, 10.0)
        assert kernel.taken == kernel.end
        assert [(row[0], row[1]) for row in opened.collect(most)] == written[len(written) - min(most, len(written)) :]
        if len(written) > most:
            assert opened.gap_until == written[len(written) - most - 1][1]
    assert {each.number: each.decoded for each in probes.values()} == {101: expected[101], 102: expected[102]}
    assert opened.events == expected.total()
    opened.close()
    os.close(kernel.descriptor)


def test_what_stands_behind_a_record_that_is_being_written_waits_for_it(kernel: Kernel) -> None:
    opened, probes = intake(kernel, 1)
    kernel.write(record(1, 5))
    unfinished = record(1, 6)
    place = kernel.write(unfinished, BUSY)
    kernel.write(record(1, 7))
    assert not opened.drain(10, 10.0)
    assert (probes[1].decoded, opened.complete_until) == (1, 5)
    assert opened.drain(10, 10.0), "nothing comes: there is no hurry"
    kernel.finish(place, len(unfinished))
    assert opened.drain(10, 10.0)
    assert [row[1] for row in opened.collect(10)] == [5, 6, 7]
    assert opened.complete_until > 7
    opened.close()


def test_a_filter_that_is_the_agents_rejects_and_keeps_the_rest(kernel: Kernel) -> None:
    opened, probes = intake(kernel, 1, 2)
    probes[1].remaining = lambda seen: seen.tid() % 2 == 0
    for time in range(10):
        kernel.write(record(1 + time // 5, time))
    assert opened.drain(100, 10.0)
    assert [row[1] for row in opened.collect(100)] == [0, 2, 4, 5, 6, 7, 8, 9]
    assert (probes[1].decoded, probes[1].rejected, probes[1].shown) == (5, 2, 3)
    assert (probes[2].decoded, probes[2].rejected, probes[2].shown) == (5, 0, 5)
    opened.close()


def test_of_large_records_the_newest_are_kept_too() -> None:
    """What was kept before is older than what finds no room."""
    memory = {place: record(1, place, 16_000 if place > 1 else 0) for place in range(1, 210)}
    newest = NewestRecords()
    for places in (range(1, 2), range(10, 210)):
        heads = [(len(memory[place]), place, 1) for place in places]
        newest.keep(Batch(list(places), heads), 500, lambda place, length: memory[place][:length])
    kept = [bpf_layout.time_of(each) for each in newest.take(500)]
    assert kept == list(range(kept[0], 210))
    assert 100 < len(kept) < 150
    assert newest.gap_until == kept[0] - 1


def test_time_is_looked_at_in_the_middle_of_a_flood() -> None:
    buffer = FullBuffer(8)
    probes = {1: probe(1)}
    opened = Intake(probes)
    opened.open(RingBuffer(buffer.descriptor, bpf_layout.RING_SIZE))
    assert not opened.drain(10, 0.0)
    assert 0 < probes[1].decoded < buffer.records
    assert len(opened.collect(10)) == 10
    while not opened.drain(10, 0.0):
        pass
    assert probes[1].decoded == buffer.records
    opened.close()
    os.close(buffer.descriptor)
