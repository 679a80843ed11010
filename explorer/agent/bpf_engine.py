"""The engine that works through bpf: every probe is a perf event of its own with the one program attached to it.

Nothing of it is in tracefs, and nothing can outlive the agent: the kernel takes a probe away when its descriptor is
closed, however that comes about. The program counts every hit by what became of it, so the counts are exact whatever is
lost. It is compiled in the background, at the first probe that needs it.
"""

from __future__ import annotations

import time
from typing import Dict, List, Optional, Sequence, Tuple

from explorer.agent import bpf_calls, bpf_filter, bpf_layout, refusals
from explorer.agent.aggregation import Cell, Cells
from explorer.agent.armed import Armed
from explorer.agent.bpf_calls import BpfCalls
from explorer.agent.bpf_focus import Focus
from explorer.agent.bpf_intake import Intake
from explorer.agent.bpf_probe import BpfProbe, place_of
from explorer.agent.bpf_program import Compilation, Program
from explorer.agent.bpf_records import context_of
from explorer.agent.bpf_ring import RingBuffer
from explorer.agent.bpf_tables import Tables
from explorer.agent.event_filter import EventFilter
from explorer.agent.failure import RequestError
from explorer.agent.kernel_text import KernelText
from explorer.agent.probe_definition import ProbeRequest
from explorer.agent.protocol import Code
from explorer.agent.ring_buffer import RingBufferError
from explorer.agent.row_code import Row

_LAST_RECORDS = 5.0
"""Seconds in which the last records of a probe have to come: whoever writes one does nothing else meanwhile."""


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
        self._by_number: Dict[int, BpfProbe] = {}
        self._by_slot: Dict[int, BpfProbe] = {}
        self._intake = Intake(self._by_slot)
        self._focus: List[int] = []
        self._lost_of_finished = 0
        self._lost_until = 0

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

    def require(self) -> Program:
        """The program, which is ``ready``.

        Raises:
            RequestError: It is not possible here.
        """
        if self._failure is not None:
            # It is raised for every request, and would keep all of their frames.
            raise self._failure.with_traceback(None)
        assert self._program is not None
        return self._program

    def take_over(self) -> None:
        """Take over what was compiled; waits for it."""
        compilation, self._compilation = self._compilation, None
        if compilation is None:
            return
        try:
            self._open(compilation.finish())
        except RequestError as error:
            self._failure = error
        except OSError as error:
            self._failure = RequestError(Code.FAILED, f"the bpf program cannot be used: {error.strerror}")

    def _open(self, program: Program) -> None:
        context, unit = context_of(self._text), bpf_calls.kprobe_unit(self._root)
        if context is None or unit is None:
            self._failure = RequestError(
                Code.KERNEL_CANNOT, "the bpf engine cannot tell here whether a hit is a task's or an interrupt's",
                "--engine tracefs; where addresses are hidden, as root: sysctl kernel.kptr_restrict=1",
            )  # fmt: skip
            program.close()
            return
        self._calls, self._context, self._unit = BpfCalls(self._machine), context, unit
        self._intake.open(RingBuffer(program.events, bpf_layout.RING_SIZE))
        self._tables = Tables(program, self._calls, self._root)
        self._following = Focus(program, self._calls, self._root)
        self._program = program
        self.focus(self._focus)

    # What every engine has.

    @property
    def armed(self) -> bool:
        """Whether any probe is armed."""
        return bool(self._by_number)

    @property
    def lost(self) -> int:
        """Events that found the buffer full so far."""
        return self._lost_of_finished + sum(probe.counts.lost for probe in self._by_number.values())

    @property
    def events(self) -> int:
        """Records that came out of the buffer so far."""
        return self._intake.events

    @property
    def skipped(self) -> int:
        """Hits of all probes so far that nothing else tells of: another bpf program was at work on their processor."""
        return self._calls.skipped(self._program.program) if self._program is not None else 0

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
        self.require()
        refused = bpf_layout.refusal(request)
        if refused:
            raise RequestError(Code.KERNEL_CANNOT, refused, "--engine tracefs")
        request = request._replace(engine="bpf")
        place = place_of(request, self._text, self._root)
        slot = next((free for free in range(bpf_layout.MOST_PROBES) if free not in self._by_slot), None)
        if slot is None:
            raise RequestError(
                Code.REFUSED, f"{bpf_layout.MOST_PROBES:,} bpf probes are armed already", "disarm some of them first"
            )
        probe = BpfProbe(number, slot, request, place)
        self._open_cells(probe, entry)
        self._tables.reset(slot)
        self._set(probe, chosen)
        self._by_slot[slot] = self._by_number[number] = probe
        try:
            self._attach(probe)
        except OSError as error:
            self._forget(probe)
            raise refusals.not_attached(error, request, place.words, self._text, self._root) from None
        kind = "return of" if request.returns else "kprobe at"
        return Armed(number, "", f"perf event, {kind} {place.words}", "bpf", "kprobe", "")

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
            self._by_number[number].detach(self._calls)
        self._look(numbers)
        deadline = time.monotonic() + _LAST_RECORDS
        while True:
            self.drain(keep, float("inf"))
            if not any(self._by_number[number].owes_records for number in numbers):
                return
            # Another processor is writing a record of another probe, behind which those of ours stand.
            if time.monotonic() > deadline:
                raise RingBufferError("records of a probe that was stopped did not come")

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
        self._focus = list(pids)
        if self._program is not None:
            self._following.follow(pids)
            self._tables.configure(self._context, focused=bool(pids))

    def survey(self, keep: int) -> None:
        """Bring the counts up to date; once a second or so."""
        if self.drain(keep, 0.5):
            self._look(self.numbers())

    def drain(self, keep: int, seconds: float) -> bool:
        """As ``Intake.drain``."""
        return self._intake.drain(keep, seconds)

    def collect(self, rows: int) -> List[Row]:
        """As ``Intake.collect``."""
        return self._intake.collect(rows)

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
        return max(self._lost_until, self._intake.gap_until), self._intake.complete_until

    def close(self) -> List[str]:
        """Disarm everything; nothing can be left."""
        for probe in list(self._by_number.values()):
            probe.detach(self._calls)
            self._forget(probe)
        if self._compilation is not None:
            self._compilation.abandon()
            self._compilation = None
        if self._program is not None:
            self._following.close()
            self._intake.close()
            self._program.close()
            self._program = None
        return []

    def _set(self, probe: BpfProbe, chosen: EventFilter) -> None:
        assert self._program is not None
        divided = bpf_filter.divide(chosen.wanted, probe.request)
        if divided.remaining is not None and probe.request.aggregate is not None:
            raise RequestError(
                Code.KERNEL_CANNOT, "the bpf program cannot decide this filter, and nobody else sees what it counts",
                "compare numbers, $comm with a name, or $comm with a beginning: \"cat*\"",
            )  # fmt: skip
        setting = bpf_layout.setting(probe.request, self._machine, divided.operations, probe.call)
        self._tables.set(probe.slot, setting)
        probe.remaining = divided.remaining

    def _open_cells(self, probe: BpfProbe, entry: Optional[int]) -> None:
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
        """Of probes with news since they were asked for: the cells that changed, and how many returns had no entry.

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
        for slot, key, value in self._tables.cells(wanted):
            found[slot][key] = value
        news = {}
        for slot, probe in wanted.items():
            assert probe.cells is not None
            changed = probe.cells.news(found[slot])
            if changed or probe.counts.unpaired != probe.unpaired_told:
                probe.unpaired_told = probe.counts.unpaired
                news[probe.number] = changed, probe.unpaired_told
        return news

    def _attach(self, probe: BpfProbe) -> None:
        probe.attach(self._calls, self._unit, self.require().program)

    def _look(self, numbers: Sequence[int]) -> None:
        """Read the program's counts."""
        for number in numbers:
            probe = self._by_number[number]
            probe.look_for_missed(self._calls)
            counts = self._tables.counts(probe.slot)
            if counts.lost > probe.counts.lost:
                self._lost_until = time.monotonic_ns()
            probe.counts = counts

    def _forget(self, probe: BpfProbe) -> None:
        self._intake.forget(probe.slot)
        wanted = probe.request.aggregate
        begins = wanted is not None and wanted.role == "begins"
        self._tables.forget(probe.slot, cells=probe.cells is not None, calls=begins)
        del self._by_slot[probe.slot], self._by_number[probe.number]
