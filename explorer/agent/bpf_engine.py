"""The engine that works through bpf: every probe is a perf event of its own with the one program attached to it.

Nothing of it is in tracefs, and nothing can outlive the agent: the kernel takes a probe away when its descriptor is
closed, however that comes about. The program counts every hit by what became of it, so the counts are exact whatever is
lost. It is compiled in the background, at the first probe that needs it.
"""

from __future__ import annotations

import collections
import errno
import os
import struct
import time
from typing import Container, Deque, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from explorer.agent import bpf_calls, bpf_filter, bpf_layout, bpf_program, processes, refusals
from explorer.agent.aggregation import CELL, SUM, Cell, Cells
from explorer.agent.armed import Armed
from explorer.agent.bpf_calls import BpfCalls
from explorer.agent.bpf_program import Compilation, Program
from explorer.agent.bpf_records import RecordDecoder, context_of
from explorer.agent.bpf_ring import RingBuffer
from explorer.agent.event_filter import EventFilter
from explorer.agent.event_format import EventFormat
from explorer.agent.failure import RequestError
from explorer.agent.filter_conditions import Condition
from explorer.agent.kernel_text import KernelText
from explorer.agent.probe_definition import ProbeRequest
from explorer.agent.protocol import Code
from explorer.agent.row_code import Row
from explorer.agent.tracefs import Tracefs

_KEY = struct.Struct("=I")
_PROBE_OF = struct.Struct("=I").unpack_from
_PROBE_AT = 16
"""Where in a record its probe's number stands."""
_MOST_KEPT = 2 << 20
"""Bytes of records for one batch; as JSON at most six times as many."""
_CALL = struct.Struct("=QII")
"""The key of a call under way: stack pointer, call, thread."""
_MISSED_SINCE = (6, 8)


class _Counts(NamedTuple):
    hits: int
    filtered: int
    lost: int
    unpaired: int


class _Probe:
    """One that is armed."""

    def __init__(self, number: int, slot: int, request: ProbeRequest, place: Tuple[str, int]) -> None:
        self.number = number
        self.slot = slot
        self.request = request
        self.place = place
        self.decoder = RecordDecoder(request)
        self.remaining: Optional[Condition] = None
        self.link = -1
        self.decoded = self.shown = self.rejected = 0
        self.missed_before = 0
        self.missed = 0
        self.counts = _Counts(0, 0, 0, 0)
        self.call = slot
        self.cells: Optional[Cells] = None

    def counters(self) -> List[int]:
        """As the protocol has them."""
        if self.request.aggregate is not None:
            hits, filtered, lost, _ = self.counts
            return [hits, self.missed, lost, filtered, hits - filtered - lost]
        kept_out = self.counts.filtered + self.rejected
        not_shown = self.decoded - self.shown - self.rejected
        return [
            self.decoded + self.counts.filtered + self.counts.lost,
            self.missed,
            self.counts.lost,
            kept_out,
            not_shown,
        ]


class BpfEngine:
    """Probes through bpf.

    Args:
        root: The directory that the machine's file tree begins at.
        machine: The architecture as ``uname -m`` prints it.
        text: Of that machine.
    """

    def __init__(self, root: str, machine: str, text: KernelText) -> None:
        self._root = root
        self._machine = machine
        self._text = text
        self._compilation: Optional[Compilation] = None
        self._program: Optional[Program] = None
        self._failure: Optional[RequestError] = None
        self._by_number: Dict[int, _Probe] = {}
        self._by_slot: Dict[int, _Probe] = {}
        self._kept: Deque[bytes] = collections.deque()
        self._bytes_kept = 0
        self._focus: Set[int] = set()
        self._following: List[int] = []
        self._lost_of_finished = 0
        self.events = 0
        self._complete_until = self._gap_until = 0

    # The program.

    @property
    def ready(self) -> bool:
        """Whether the program is there, or is known not to be possible."""
        return self._program is not None or self._failure is not None

    @property
    def proved(self) -> bool:
        """Whether the program is there, which has seen a call on this kernel."""
        return self._program is not None

    @property
    def compilation(self) -> Optional[Compilation]:
        """The work on it that is under way."""
        return self._compilation

    def prepare(self) -> None:
        """Begin to compile, unless that was done."""
        if self.ready or self._compilation is not None:
            return
        try:
            self._compilation = Compilation(self._root, self._machine)
        except RequestError as error:
            self._failure = error
        except OSError as error:
            self._failure = RequestError(Code.FAILED, f"cannot start the bpf compiler: {error.strerror}")

    def take_over(self) -> None:
        """Take over what was compiled; waits for it."""
        compilation, self._compilation = self._compilation, None
        if compilation is None:
            return
        try:
            program = compilation.finish()
        except RequestError as error:
            self._failure = error
            return
        self._open(program)

    def _open(self, program: Program) -> None:
        self._program = program
        self._calls = BpfCalls(self._machine)
        self._unit = bpf_calls.kprobe_unit(self._root) or (0, 0)
        self._ring = RingBuffer(program.events, bpf_layout.RING_SIZE)
        self._cpus = bpf_program.possible_cpus(self._root)
        self._apply_focus(program)

    def _configure(self) -> None:
        assert self._program is not None
        where = context_of(self._text) or (0, 0)
        packed = bpf_layout.CONFIGURATION.pack(os.getpid(), bool(self._focus), *where)
        self._calls.update(self._program.configuration, bytes(4), packed)

    # What every engine has.

    @property
    def armed(self) -> bool:
        """Whether any probe is armed."""
        return bool(self._by_number)

    @property
    def lost(self) -> int:
        """Events that found the buffer full so far."""
        return self._lost_of_finished + sum(probe.counts.lost for probe in self._by_number.values())

    def fileno(self) -> int:
        """A descriptor that is readable while there are events; only while a probe is armed."""
        assert self._program is not None
        return self._program.events

    def numbers(self) -> List[int]:
        """Of the probes that are armed."""
        return list(self._by_number)

    def request_of(self, number: int) -> ProbeRequest:
        """An armed probe."""
        return self._by_number[number].request

    def arm(self, number: int, request: ProbeRequest, chosen: EventFilter, entry: Optional[int] = None) -> Armed:
        """Arm a probe; the program is ``ready``.

        Args:
            number: The probe's.
            request: What it is.
            chosen: Its filter.
            entry: Of the return of a call, the number of the probe at its entry.

        Raises:
            RequestError: The kernel cannot or will not, or the program cannot read that.
        """
        program = self._require()
        refused = bpf_layout.refusal(request)
        if refused:
            raise RequestError(Code.KERNEL_CANNOT, refused, "--engine tracefs")
        request = request._replace(engine="bpf")
        symbol, offset, place = self._place(request)
        slot = next((free for free in range(bpf_layout.MOST_PROBES) if free not in self._by_slot), None)
        if slot is None:
            raise RequestError(
                Code.REFUSED, f"{bpf_layout.MOST_PROBES:,} bpf probes are armed already", "disarm some of them first"
            )
        probe = _Probe(number, slot, request, (symbol, offset))
        self._open_cells(probe, entry)
        key = _KEY.pack(slot)
        self._calls.update(program.counts, key, bytes(bpf_layout.COUNT.size * self._cpus))
        self._set(probe, chosen)
        self._by_slot[slot] = self._by_number[number] = probe
        try:
            self._attach(probe)
        except OSError as error:
            self._forget(probe)
            raise refusals.not_attached(error, request, place, self._text, self._root) from None
        kind = "return of" if request.returns else "kprobe at"
        return Armed(number, "", f"perf event, {kind} {place}", "bpf", "kprobe", "")

    def filter(self, number: int, chosen: EventFilter, keep: int) -> None:
        """Put another filter on a probe; what was recorded before is judged by the whole of it here.

        Args:
            number: The probe's.
            chosen: The filter.
            keep: As for ``drain``.
        """
        probe = self._by_number[number]
        self._set(probe, chosen)
        probe.remaining, remaining = chosen.whole, probe.remaining
        self.drain(keep, float("inf"))
        probe.remaining = remaining

    def stop(self, numbers: Sequence[int], keep: int) -> None:
        """Disarm probes and take out what they have left.

        Args:
            numbers: The probes'.
            keep: As for ``drain``.
        """
        for number in numbers:
            self._detach(self._by_number[number])
        self.drain(keep, float("inf"))
        self._look(numbers)

    def finish(self, number: int) -> List[int]:
        """Forget a probe that was stopped; its final counters."""
        probe = self._by_number[number]
        self._forget(probe)
        self._lost_of_finished += probe.counts.lost
        return probe.counters()

    def suspend(self, number: int, keep: int) -> None:
        """Disable a probe, which stays armed as far as anybody else is concerned."""
        self.stop([number], keep)

    def resume(self, number: int) -> None:
        """Enable a suspended probe.

        Raises:
            OSError: The kernel refuses it by now.
        """
        self._attach(self._by_number[number])

    def focus(self, pids: Sequence[int]) -> None:
        """Record only what these processes and their descendants do; empty: everybody."""
        self._focus = set(pids)
        if self._program is not None:
            self._apply_focus(self._program)

    def survey(self, keep: int) -> None:
        """Bring the counts up to date; once a second or so."""
        if self.drain(keep, 0.5):
            self._look(self.numbers())

    def drain(self, keep: int, seconds: float) -> bool:
        """Take records out of the buffer and count them.

        Args:
            keep: How many of the newest ``collect`` may ask for.
            seconds: When to stop in a flood.

        Returns:
            Whether the buffer was emptied.
        """
        began = time.monotonic_ns()
        probes, kept, most = self._by_slot, self._kept, max(keep, 1)
        before = self.events
        for record in self._ring.records(seconds):
            probe = probes.get(_PROBE_OF(record, _PROBE_AT)[0])
            if probe is None:
                continue
            probe.decoded += 1
            self.events += 1
            if probe.remaining is not None and not probe.decoder.passes(record, probe.remaining):
                probe.rejected += 1
                continue
            kept.append(record)
            self._bytes_kept += len(record)
            while len(kept) > most or self._bytes_kept > _MOST_KEPT:
                self._skip(kept.popleft())
        if self._ring.emptied:
            self._complete_until = began
        elif kept:
            self._complete_until = max(self._complete_until, bpf_layout.time_of(kept[-1]))
        return self._ring.emptied or self.events == before

    def _skip(self, record: bytes) -> None:
        self._bytes_kept -= len(record)
        self._gap_until = max(self._gap_until, bpf_layout.time_of(record))

    def collect(self, rows: int) -> List[Row]:
        """The newest events as rows, oldest first; what else was kept is let go."""
        kept = list(self._kept)
        self._kept.clear()
        skipped = kept[: max(0, len(kept) - rows)]
        for record in skipped:
            self._skip(record)
        self._bytes_kept = 0
        found: List[Row] = []
        for record in kept[len(skipped) :]:
            probe = self._by_slot.get(_PROBE_OF(record, _PROBE_AT)[0])
            if probe is not None:
                probe.shown += 1
                found.append(probe.decoder.row(record, probe.number))
        found.sort(key=lambda row: row[1])
        return found

    def counters(self) -> Dict[int, List[int]]:
        """The counters of all armed probes."""
        return {number: probe.counters() for number, probe in self._by_number.items()}

    def counts(self) -> Dict[int, Tuple[int, int]]:
        """Hits that the kernel counted, and events decoded, of every probe since it was armed."""
        self._look(self.numbers())
        return {number: (probe.counts.hits, probe.decoded) for number, probe in self._by_number.items()}

    @property
    def complete_between(self) -> Tuple[int, int]:
        """Since when and until when nothing is missing among the events."""
        return self._gap_until, self._complete_until

    def close(self) -> List[str]:
        """Disarm everything; nothing can be left."""
        for probe in list(self._by_number.values()):
            self._detach(probe)
            self._forget(probe)
        if self._compilation is not None:
            self._compilation.abandon()
            self._compilation = None
        if self._program is not None:
            self._ring.close()
            for descriptor in [*self._program, *self._following]:
                os.close(descriptor)
            self._program = None
        return []

    def _require(self) -> Program:
        if self._failure is not None:
            raise self._failure
        assert self._program is not None
        return self._program

    def _set(self, probe: _Probe, chosen: EventFilter) -> None:
        assert self._program is not None
        divided = bpf_filter.divide(chosen.wanted, probe.request)
        if divided.remaining is not None and probe.request.aggregate is not None:
            raise RequestError(
                Code.KERNEL_CANNOT, "the bpf program cannot decide this filter, and nobody else sees what it counts",
                "compare numbers, $comm with a name, or $comm with a beginning: \"cat*\"",
            )  # fmt: skip
        setting = bpf_layout.setting(probe.request, self._machine, divided.operations, probe.call)
        self._calls.update(self._program.settings, _KEY.pack(probe.slot), setting)
        probe.remaining = divided.remaining

    def _open_cells(self, probe: _Probe, entry: Optional[int]) -> None:
        wanted = probe.request.aggregate
        if wanted is None or wanted.role == "begins":
            return
        begins = self._by_number.get(entry or 0)
        if wanted.role == "ends":
            if begins is None or begins.request.aggregate is None or begins.request.aggregate.role != "begins":
                raise RequestError(Code.BAD_REQUEST, "a return ends the call that the entry right before it begins")
            probe.call = begins.slot
        of_key = begins.request if begins is not None and wanted.role == "ends" else probe.request
        assert of_key.aggregate is not None
        probe.cells = Cells(of_key.aggregate, of_key.types)

    def cells(self, numbers: Sequence[int]) -> Dict[int, Tuple[List[Cell], int]]:
        """The cells of probes that changed since they were asked for, and how many returns had no entry.

        Args:
            numbers: The probes'; of those that count nothing there are none.
        """
        wanted = {
            probe.slot: probe for number in numbers
            if (probe := self._by_number.get(number)) is not None and probe.cells is not None
        }  # fmt: skip
        if not wanted:
            return {}
        found: Dict[int, Dict[bytes, bytes]] = {slot: {} for slot in wanted}
        for key, value in self._cells_of(wanted):
            found[CELL.unpack(key)[0]][key] = value
        news = {}
        for slot, probe in wanted.items():
            assert probe.cells is not None
            news[probe.number] = probe.cells.news(found[slot]), probe.counts.unpaired
        return news

    def _cells_of(self, slots: Container[int]) -> Iterator[Tuple[bytes, bytes]]:
        assert self._program is not None
        table = self._program.cells
        for key in list(self._calls.keys(table, CELL.size)):
            if CELL.unpack(key)[0] in slots:
                value = self._calls.look_up(table, key, SUM.size)
                if value is not None:
                    yield key, value

    def _attach(self, probe: _Probe) -> None:
        assert self._program is not None
        unit, bit = self._unit
        event = self._calls.probe(unit, bit if probe.request.returns else None, *probe.place)
        try:
            probe.link = self._calls.attach(self._program.program, event, probe.slot)
        finally:
            os.close(event)  # the link holds it
        probe.missed_before = probe.missed

    def _detach(self, probe: _Probe) -> None:
        if probe.link >= 0:
            self._read_missed(probe)
            os.close(probe.link)
            probe.link = -1

    def _read_missed(self, probe: _Probe) -> None:
        if probe.link >= 0:
            missed = self._calls.missed(probe.link) if bpf_calls.release() >= _MISSED_SINCE else 0
            probe.missed = probe.missed_before + missed

    def _look(self, numbers: Sequence[int]) -> None:
        """Read the program's counts."""
        assert self._program is not None
        for number in numbers:
            probe = self._by_number[number]
            self._read_missed(probe)
            size = bpf_layout.COUNT.size * self._cpus
            found = self._calls.look_up(self._program.counts, _KEY.pack(probe.slot), size) or b""
            by_cpu = list(bpf_layout.COUNT.iter_unpack(found))
            counts = _Counts(*(sum(one[place] for one in by_cpu) for place in range(len(_Counts._fields))))
            if counts.lost > probe.counts.lost:
                self._gap_until = max(self._gap_until, time.monotonic_ns())
            probe.counts = counts

    def _forget(self, probe: _Probe) -> None:
        assert self._program is not None
        self._kept = collections.deque(record for record in self._kept if _PROBE_OF(record, _PROBE_AT)[0] != probe.slot)
        self._bytes_kept = sum(map(len, self._kept))
        self._calls.delete(self._program.settings, _KEY.pack(probe.slot))
        if probe.cells is not None:
            for key, _ in self._cells_of((probe.slot,)):
                self._calls.delete(self._program.cells, key)
        if probe.request.aggregate is not None and probe.request.aggregate.role == "begins":
            for key in list(self._calls.keys(self._program.calls, _CALL.size)):
                if _CALL.unpack(key)[1] == probe.slot:
                    self._calls.delete(self._program.calls, key)
        del self._by_slot[probe.slot], self._by_number[probe.number]

    def _apply_focus(self, program: Program) -> None:
        wanted: Set[int] = set()
        for link in self._following:
            os.close(link)
        self._following = []
        if self._focus:
            # First: who is born from now on is told; who was born before is found by looking.
            for function, event in ((program.born, bpf_program.FORK), (program.gone, bpf_program.EXIT)):
                described = EventFormat.parse(Tracefs(self._root).format(event))
                point = self._calls.tracepoint(described.id)
                self._following.append(self._calls.attach(function, point, 0))
                os.close(point)
        for key in list(self._calls.keys(program.focus, _KEY.size)):
            self._calls.delete(program.focus, key)
        for pid in self._focus:
            self._calls.update(program.focus, _KEY.pack(pid), bpf_layout.FOCUSED)
        if self._focus:
            wanted = processes.with_descendants(self._root, sorted(self._focus))
        for pid in wanted:
            self._calls.update(program.focus, _KEY.pack(pid), bpf_layout.FOCUSED)
        self._configure()

    def _place(self, request: ProbeRequest) -> Tuple[str, int, str]:
        """A symbol of the kernel itself and the offset from it, or "" and an address; and the place in words."""
        if request.address is not None:
            return "", request.address, refusals.place_of_address(self._text, request.address)
        if request.module and not os.path.exists(os.path.join(self._root, "sys/module", request.module, "initstate")):
            raise refusals.module_not_loaded(request.module)
        if request.offset:
            refusals.check_offset(self._text, request)
        if not request.module:  # which the kernel finds faster than we do
            return request.symbol, request.offset, request.place
        found = self._text.instances(request.symbol, request.module)
        if len(found) != 1:
            error = OSError(errno.EADDRNOTAVAIL if found else errno.ENOENT, "")
            raise refusals.not_attached(error, request, request.place, self._text, self._root)
        return "", found[0].start + request.offset, request.place
