"""How fast the bpf program's records are counted and become rows: ``python -m tests.benchmarks.bpf_records``.

A full buffer of its layout is filled here, by nobody's kernel, and read again and again: as in a flood (all counted,
the newest 500 kept), and with every record made a row. Rates are records a second of processor time.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from typing import Any

from explorer.agent import bpf_layout, probe_definition
from explorer.agent.bpf_intake import Intake
from explorer.agent.bpf_probe import BpfProbe, Place
from explorer.agent.bpf_ring import RingBuffer

ONE: dict[str, Any] = {"symbol": "f", "kind": "entry", "values": [{"register": "ax", "type": "u64"}], "engine": "bpf"}
PROBES: dict[str, dict[str, Any]] = {"one number": ONE, "the same and all 21 registers": {**ONE, "registers": True}}
SECONDS = 3.0


class FullBuffer:
    """Shared memory that looks like a ring buffer full of one probe's records.

    Args:
        size: Of the data of a record behind its head, in bytes.
    """

    def __init__(self, size: int) -> None:
        page, ring = mmap.PAGESIZE, bpf_layout.RING_SIZE
        record = bpf_layout.HEAD.pack(1, 0, 1, 42, 42, 0, 0, 0, 0, 0, b"python3") + bytes(range(1, 9)) * (size // 8)
        framed = struct.pack("=II", len(record), 0) + record
        framed = framed.ljust(-(-len(framed) // 8) * 8, b"\0")
        self.records = ring // len(framed)
        self.descriptor = os.memfd_create("ring")
        os.ftruncate(self.descriptor, 2 * page + 2 * ring)
        for begin in (2 * page, 2 * page + ring):
            os.pwrite(self.descriptor, framed * self.records, begin)
        os.pwrite(self.descriptor, struct.pack("=Q", self.records * len(framed)), page)

    def refill(self) -> None:
        """Nothing of it was taken out."""
        os.pwrite(self.descriptor, struct.pack("=Q", 0), 0)


def rate(probe: dict[str, Any], rows: int | None) -> float:
    """Records a second, the best of runs; so many made rows of each buffer, None: all."""
    request = probe_definition.parse(probe, "x86_64")
    buffer = FullBuffer(8 * (len(request.values) + len(request.registers)))
    best, end = 0.0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        intake = Intake({1: BpfProbe(1, 1, request, Place("f", 0, "f"))})
        buffer.refill()
        intake.open(RingBuffer(buffer.descriptor, bpf_layout.RING_SIZE))
        began = time.process_time()
        if rows is not None:
            intake.drain(rows, float("inf"))
            intake.collect(rows)
        else:
            while not intake.drain(4096, 0.0):
                intake.collect(4096)
            intake.collect(4096)
        best = max(best, intake.events / (time.process_time() - began))
        assert intake.events == buffer.records
        intake.close()
    os.close(buffer.descriptor)
    return best


def main() -> None:
    """Measure and print."""
    for what, probe in PROBES.items():
        flood, rows = rate(probe, 500), rate(probe, None)
        print(f"{what}: counted, the newest 500 made rows {flood / 1e6:.2f} M/s; all made rows {rows / 1e6:.2f} M/s")


if __name__ == "__main__":
    main()
