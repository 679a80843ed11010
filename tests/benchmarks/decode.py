"""How fast recorded pages become rows, beside reading the same events as text: ``python -m tests.benchmarks.decode``.

A kernel records them: the lab's, booted for it, or this machine's with ``--here`` (as root). The pages come back and
are decoded on this machine, again and again: from pages to rows that could be sent (found, counted, decoded, in the
order of time, with the process of each thread). The text that ``trace_pipe`` gives for the same workload is parsed into
the same parts. Rates are events a second of processor time. What the kernel itself takes to hand out pages or to print
text is measured where the events were recorded; emulated, it means something as a ratio only.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from explorer.agent import probe_definition
from explorer.agent.buffers import Drained, Kept
from explorer.agent.event_format import EventFormat, HitDecoder
from explorer.agent.newest_rows import newest_rows
from explorer.agent.processes import ProcessTable
from explorer.agent.ring_buffer import PageLayout, scan
from explorer.agent.row_code import Row
from explorer.agent.tracefs import Instance, Tracefs

GROUP = "decode_benchmark"
MACHINE = "x86_64"
FUNCTION = "do_sys_openat2"
VALUES: list[dict[str, Any]] = [
    {"register": "di", "dereference": [], "type": "s32"},
    {"register": "si", "dereference": [], "type": "u64"},
    {"register": "si", "dereference": [0], "type": "string"},
    {"register": "dx", "dereference": [], "type": "u64"},
]
PROBES: dict[str, dict[str, Any]] = {
    "its arguments, a file name among them": {"symbol": FUNCTION, "kind": "entry", "values": VALUES},
    "the same and a field behind a pointer": {
        "symbol": FUNCTION, "kind": "entry",
        "values": [*VALUES, {"register": "dx", "dereference": [0], "type": "u64"}],
    },
    "the same and all 21 registers": {"symbol": FUNCTION, "kind": "entry", "values": VALUES, "registers": True},
    "one number": {
        "symbol": "__x64_sys_getpgid", "kind": "entry",
        "values": [{"register": "di", "dereference": [], "type": "u64"}],
    },
}  # fmt: skip
WORKLOAD = """
import os
for number in range(%d):
    for name in ("/etc/passwd", "/proc/self/status", "/nonexistent/with/a/longer/name"):
        try:
            os.close(os.open(name, os.O_RDONLY))
        except OSError:
            pass
        os.getpgid(0)
"""
ROUNDS = 2000
ROWS = 1_000_000
_LINE = re.compile(r"^ *(.+)-(\d+) +\[(\d+)\] (\S{4,5}) +(\d+)\.(\d+): \w+: \([^)]*\) (.*)$")
_VALUE = re.compile(r'(\w+)=("[^"]*"|\S+)')


class Recorded(NamedTuple):
    """The same hits twice, and how long the kernel took to hand them out."""

    header_page: str
    format: str
    pages: list[bytes]
    text: str
    raw_seconds: float
    text_seconds: float


def record(probe: dict[str, Any]) -> Recorded:
    """Record one probe under the workload on this kernel."""
    tracefs = Tracefs("/")
    request = probe_definition.parse(probe, MACHINE)
    tracefs.define(request.definition(GROUP, "hit", request.place))
    instance = tracefs.instance(GROUP)
    instance.create()
    try:
        instance.write("buffer_size_kb", "4096")
        text, text_seconds = _read(instance, "trace_pipe")
        events = len(text.splitlines())
        pages, raw_seconds = _read(instance, "trace_pipe_raw")
        layout = PageLayout.parse(tracefs.header_page())
        cut = [pages[start : start + layout.size] for start in range(0, len(pages), layout.size)]
        found = sum(len(scan(layout, page).records) for page in cut)
        described = instance.format(f"{GROUP}/hit")
        return Recorded(
            tracefs.header_page(), described, cut, text.decode(errors="surrogateescape"),
            raw_seconds / found, text_seconds / events,
        )  # fmt: skip
    finally:
        instance.remove()
        tracefs.remove_group(GROUP)


def _read(instance: Instance, name: str) -> tuple[bytes, float]:
    """Record the workload and take it out of the buffers; what came, and the processor's seconds that reading took."""
    switches = instance.switches()
    switches.turn(f"{GROUP}/hit", True)
    subprocess.run(["taskset", "1", sys.executable, "-I", "-S", "-c", WORKLOAD % ROUNDS], check=True)
    switches.turn(f"{GROUP}/hit", False)
    switches.close()
    pieces = []
    begin = time.process_time()
    for cpu in instance.cpus():
        pipe = os.open(f"{instance.path}/per_cpu/cpu{cpu}/{name}", os.O_RDONLY | os.O_NONBLOCK)
        try:
            while piece := os.read(pipe, 4096):
                pieces.append(piece)
        except BlockingIOError:
            pass
        finally:
            os.close(pipe)
    return b"".join(pieces), time.process_time() - begin


def record_all() -> None:
    """Record every probe and print it, a line each."""
    for probe in PROBES.values():
        recorded = record(probe)
        packed = base64.b64encode(zlib.compress(b"".join(recorded.pages), 1)).decode()
        print(json.dumps([*recorded[:2], packed, *recorded[3:]]))


def recorded_elsewhere(command: list[str]) -> list[Recorded]:
    """What ``record_all`` prints where the command runs it."""
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    found = []
    for line in output.splitlines():
        header_page, described, packed, text, raw_seconds, text_seconds = json.loads(line)
        data, size = zlib.decompress(base64.b64decode(packed)), PageLayout.parse(header_page).size
        pages = [data[start : start + size] for start in range(0, len(data), size)]
        found.append(Recorded(header_page, described, pages, text, raw_seconds, text_seconds))
    return found


def rate(work: Callable[[], int], seconds: float) -> float:
    """Events a second of processor time; the best of runs that take so many seconds together."""
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.process_time()
        events = work()
        best = max(best, events / (time.process_time() - begin))
    return best


def parse_text(text: str) -> int:
    """Take the lines of ``trace_pipe`` apart into the parts of a row."""
    rows = []
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is not None:
            comm, tid, cpu, flags, whole, micro, values = match.groups()
            read = {name: value if value[0] in '"(' else int(value, 0) for name, value in _VALUE.findall(values)}
            rows.append([int(whole) * 10**9 + int(micro) * 1000, int(cpu), int(tid), comm, flags, read])
    return len(rows)


def measure(what: str, probe: dict[str, Any], recorded: Recorded, seconds: float) -> None:
    """Measure one recording and print."""
    layout = PageLayout.parse(recorded.header_page)
    request = probe_definition.parse(probe, MACHINE)
    described = EventFormat.parse(recorded.format)
    decoders = {described.id: (1, HitDecoder(described, request.value_fields, request.register_fields))}
    processes = ProcessTable("/nonexistent")

    def to_rows() -> list[Row]:
        drained, kept = Drained(), []
        for page in recorded.pages:
            scanned = scan(layout, page)
            drained.add(page, scanned, -1)
            kept.append(Kept(page, scanned.records, 0))
        return newest_rows(kept, ROWS, decoders, processes).rows

    def to_counts() -> int:
        drained = Drained()
        for page in recorded.pages:
            drained.add(page, scan(layout, page), -1)
        return drained.counts[described.id]

    events = len(to_rows())
    assert events == to_counts() == parse_text(recorded.text) == len(recorded.text.splitlines()), "each event once"
    rows, counts = rate(lambda: len(to_rows()), seconds), rate(to_counts, seconds)
    text = rate(lambda: parse_text(recorded.text), seconds)
    size = sum(map(len, recorded.pages)) / events
    print(f"{what}: {events:,} events, {size:.0f} bytes each")
    print(f"  pages to rows  {rows / 1e6:5.2f} M/s   to counts {counts / 1e6:5.2f} M/s")
    print(f"  parsing text   {text / 1e6:5.2f} M/s   {rows / text:.1f} times slower than pages to rows")
    ratio = recorded.text_seconds / recorded.raw_seconds
    print(
        f"  the kernel, where it was recorded: printing the text takes {ratio:.0f} times as long as handing pages out"
    )


def main() -> None:
    """Record, decode, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--record", action="store_true", help="record on this kernel and print what was recorded")
    parser.add_argument("--here", action="store_true", help="record on this kernel, not on the lab's")
    parser.add_argument("--seconds", type=float, default=3.0, help="of measuring, for each figure")
    options = parser.parse_args()
    if options.record:
        record_all()
        return
    command = [sys.executable, "-m", "tests.benchmarks.decode", "--record"]
    if not options.here:
        command = [str(Path(sys.executable).with_name("kexplore")), "lab", "--", *command]
    for (what, probe), recorded in zip(PROBES.items(), recorded_elsewhere(command), strict=True):
        measure(what, probe, recorded, options.seconds)


if __name__ == "__main__":
    main()
