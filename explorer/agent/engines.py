"""Both engines behind one face: each probe is armed by the one that it asks for, or that suits it.

tracefs can do most and is there at once. bpf decides filters of any form before a hit costs a record, and reads stacks;
it has to be compiled first. So what only bpf can do waits for it; a filter that tracefs cannot decide is left to bpf
once that is there and has proved itself, and to the agent until then.
"""

from __future__ import annotations

import itertools
import os
from typing import Dict, List, Optional, Sequence, Tuple, Union

from explorer.agent import bpf_filter, bpf_layout, capabilities, event_filter, probe_definition
from explorer.agent.aggregation import Cell
from explorer.agent.armed import Armed
from explorer.agent.bpf_engine import BpfEngine
from explorer.agent.bpf_program import Compilation
from explorer.agent.engine import Engine
from explorer.agent.event_filter import EventFilter
from explorer.agent.failure import RequestError
from explorer.agent.kernel_text import KernelText
from explorer.agent.probe_definition import ProbeRequest
from explorer.agent.protocol import MOST_PROBES, Code
from explorer.agent.row_code import Row

_DRAIN_SECONDS = 0.1
_OF_BPF_ALONE = ("stacks", "aggregate")
"""Members of a probe that only bpf can serve."""


class Engines:
    """Probes of both engines.

    Args:
        root: The directory that the machine's file tree begins at.
        machine: The architecture as ``uname -m`` prints it.
    """

    def __init__(self, root: str, machine: str) -> None:
        self._root = root
        self._machine = machine
        text = KernelText(root)
        self._tracefs = Engine(root, machine, text)
        self._bpf = BpfEngine(root, machine, text)
        self._both: Tuple[Union[Engine, BpfEngine], ...] = (self._tracefs, self._bpf)
        self._by_probe: Dict[int, Union[Engine, BpfEngine]] = {}
        self._numbers = itertools.count(1)

    @property
    def armed(self) -> bool:
        """Whether any probe is armed."""
        return bool(self._by_probe)

    @property
    def definitions(self) -> int:
        """How many definitions there are in tracefs, used or not."""
        return self._tracefs.definitions

    @property
    def unused(self) -> bool:
        """Whether there are definitions in tracefs, and no probe at all."""
        return self._tracefs.unused and not self._by_probe

    @property
    def lost(self) -> int:
        """Events that were lost in the buffers so far."""
        return sum(engine.lost for engine in self._both)

    @property
    def events(self) -> int:
        """Events that came out of the buffers so far."""
        return sum(engine.events for engine in self._both)

    @property
    def skipped(self) -> int:
        """Hits so far that are in no probe's counts."""
        return self._bpf.skipped

    @property
    def compilation(self) -> Optional[Compilation]:
        """The work on the bpf program that is under way."""
        return self._bpf.compilation

    def compiled(self) -> None:
        """That work is done, or has taken too long."""
        self._bpf.take_over()

    def filenos(self) -> List[int]:
        """Descriptors that are readable while there are events."""
        return [engine.fileno() for engine in self._both if engine.armed]

    def must_wait(self, probe: object) -> bool:
        """Whether a probe is to wait for the bpf program, which is being compiled from now on.

        Args:
            probe: As a request has it, well-formed or not.
        """
        if not isinstance(probe, dict) or (
            not any(probe.get(name) for name in _OF_BPF_ALONE) and probe.get("engine") != "bpf"
        ):
            return False
        self._bpf.prepare()
        return not self._bpf.ready

    def prepared(self) -> None:
        """Make sure that what needs the bpf program can have it.

        Raises:
            RequestError: It cannot.
        """
        self._bpf.require()

    def arm(self, probe: object, wanted: object = None, entry: Optional[int] = None) -> Armed:
        """Arm a probe as a request describes it.

        Args:
            probe: The request's ``probe``; it need not wait.
            wanted: Its ``filter``.
            entry: Of the return of a call, the number of the probe at its entry.

        Raises:
            RequestError: It is not well-formed, or the kernel cannot or will not.
        """
        asked = probe_definition.parse(probe, self._machine)
        chosen = event_filter.parse(wanted, asked)
        if not self.armed:  # while something is armed, every survey looks again
            capabilities.require(self._root)
        if len(self._by_probe) >= MOST_PROBES:
            raise RequestError(Code.REFUSED, f"{MOST_PROBES:,} probes are armed already", "disarm some of them first")
        cause = self._why_bpf(asked, chosen)
        engine: Union[Engine, BpfEngine] = self._bpf if cause else self._tracefs
        number = next(self._numbers)
        armed = engine.arm(number, asked, chosen, entry)
        self._by_probe[number] = engine
        return armed._replace(cause=cause or armed.cause)

    def _why_bpf(self, asked: ProbeRequest, chosen: EventFilter) -> str:
        """Why a probe is the bpf engine's; "" where it is not."""
        only = "only bpf records stacks" if asked.stacks else ""
        only = "only bpf counts in the kernel by what it sees" if asked.aggregate is not None else only
        if asked.engine == "tracefs":
            if only:
                raise RequestError(Code.BAD_REQUEST, only, "--engine bpf")
            return ""
        if asked.mechanism != "auto":
            if asked.engine == "bpf" or only:
                raise RequestError(Code.BAD_REQUEST, "the bpf engine arms kprobes by itself", "leave the mechanism out")
            return ""
        if asked.engine == "bpf":
            return "asked for"
        if only:
            return only
        if not chosen.wanted or not chosen.wanted["agent"]:
            return ""
        self._bpf.prepare()
        if not self._bpf.proved or bpf_layout.refusal(asked):
            return ""
        left = bpf_filter.divide(chosen.wanted, asked).remaining
        return "it decides in the kernel what tracefs cannot" if left is None else ""

    def request_of(self, number: int) -> ProbeRequest:
        """An armed probe."""
        return self._by_probe[number].request_of(number)

    def filter(self, number: object, wanted: object, keep: int) -> None:
        """Put another filter on a probe, which goes on counting.

        The hits of before have been drained and shown by the caller.

        Args:
            number: The probe's, or whatever a request has there.
            wanted: The request's ``filter``.
            keep: As for ``drain``.

        Raises:
            RequestError: There is no such probe, the filter is not one of its, or the kernel refused it: then the
                filter is as it was.
        """
        known = self._known(number)
        engine = self._by_probe[known]
        engine.filter(known, event_filter.parse(wanted, engine.request_of(known)), keep)

    def _known(self, number: object) -> int:
        if type(number) is not int or number not in self._by_probe:
            raise RequestError(Code.BAD_REQUEST, f"no probe {number!r} is armed")
        return number

    def disarm(self, numbers: Sequence[object], keep: int) -> List[int]:
        """Stop probes. Their last events are still to be collected: ``collect``, then ``finish`` for each.

        Args:
            numbers: The probes', or whatever a request has there.
            keep: As for ``drain``.

        Returns:
            The probes' numbers.

        Raises:
            RequestError: There is no such probe; then none has been stopped.
        """
        known = [self._known(number) for number in numbers]
        for engine in self._both:
            own = [number for number in known if self._by_probe[number] is engine]
            if own:
                engine.stop(own, keep)
        return known

    def finish(self, number: int) -> List[int]:
        """Forget a probe that ``disarm`` stopped; its final counters."""
        return self._by_probe.pop(number).finish(number)

    def focus(self, pids: Sequence[int]) -> None:
        """Record only what these processes and their descendants do; empty: everybody.

        Raises:
            RequestError: One of them does not exist.
        """
        for pid in pids:
            if not os.path.isdir(os.path.join(self._root, "proc", str(pid))):
                raise RequestError(Code.BAD_REQUEST, f"there is no process {pid}")
        for engine in self._both:
            engine.focus(pids)

    def survey(self, keep: int) -> None:
        """Compare the kernel's own counts with ours, and see that probes still fire; once a second or so.

        Args:
            keep: As for ``drain``.

        Raises:
            RequestError: Somebody has switched all probes of this machine off; the counts are brought up to date.
        """
        for engine in self._both:
            if engine.armed:
                engine.survey(keep)
        capabilities.require_switched_on(self._root)

    def drain(self, keep: int, seconds: float = _DRAIN_SECONDS) -> bool:
        """Take events out of the buffers and count them.

        Args:
            keep: How many of the newest ``collect`` may ask for; those kept before stay kept.
            seconds: When to stop in a flood.

        Returns:
            Whether the buffers were emptied.

        Raises:
            RingBufferError: What came out is not what the kernel described.
        """
        return all([engine.drain(keep, seconds) for engine in self._both if engine.armed])

    def describe(self) -> None:
        """Learn how the events of new probes look; may wait until the first of them are to be decoded.

        Raises:
            RingBufferError: Not as this agent expects.
        """
        self._tracefs.describe()

    def collect(self, rows: int) -> List[Row]:
        """The newest events as rows, oldest first; what else was kept is let go.

        Args:
            rows: How many at most; where both engines have events, half of them are bpf's.
        """
        found = self._bpf.collect(rows // 2 if self._tracefs.armed else rows)
        more = self._tracefs.collect(rows - len(found))
        if found and more:
            return sorted(found + more, key=lambda row: int(row[1]))
        return found or more

    def cells(self, numbers: Optional[Sequence[int]] = None) -> Dict[int, Tuple[List[Cell], int]]:
        """What aggregating probes have newly counted; see ``BpfEngine.cells``.

        Args:
            numbers: The probes'; None: all.
        """
        return self._bpf.cells(self._bpf.numbers() if numbers is None else numbers)

    def counters(self) -> Dict[int, List[int]]:
        """The counters of all armed probes."""
        return {**self._tracefs.counters(), **self._bpf.counters()}

    def counts(self) -> Dict[int, Tuple[int, int]]:
        """Hits that the kernel counted, and events decoded, of every probe since it was armed."""
        return {number: counts for engine in self._both if engine.armed for number, counts in engine.counts().items()}

    @property
    def complete_between(self) -> Tuple[int, int]:
        """Since when and until when nothing is missing among the events."""
        each = [engine.complete_between for engine in self._both if engine.armed]
        return max((gap for gap, _ in each), default=0), min((until for _, until in each), default=0)

    def rest(self) -> List[str]:
        """Delete some of the definitions that no probe uses; see ``Engine.rest``."""
        return self._tracefs.rest()

    def release(self) -> List[str]:
        """Disarm everything; definitions that nobody uses are left.

        Returns:
            What is left besides, each with the reason.
        """
        self._by_probe.clear()
        return self._bpf.close() + self._tracefs.release()

    def close(self) -> List[str]:
        """Disarm everything and leave the machine as it was.

        Returns:
            What is left, each with the reason; empty when all is clean.
        """
        self._by_probe.clear()
        return self._bpf.close() + self._tracefs.close()
