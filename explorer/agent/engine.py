"""The engine that works through tracefs: arms and disarms probes in a group and an instance of its own.

Nothing is created before the first probe is armed. A definition outlives its probe: deleting a dynamic event empties
the whole buffer of every instance where it was ever enabled (kernel/trace/trace_dynevent.c; seen on 6.12), and with it
the events of other probes. So a disarmed probe's event is disabled only, is used again when the same probe is armed
again, and is deleted when no probe is armed any more.
"""

from __future__ import annotations

import itertools
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from explorer.agent import capabilities, probe_definition, processes, refusals, session_name
from explorer.agent.accounting import Accounts
from explorer.agent.buffers import Buffers, Drained, Sighting
from explorer.agent.event_format import EventFormat, HitDecoder
from explorer.agent.failure import RequestError
from explorer.agent.kernel_text import KernelText
from explorer.agent.probe_definition import ProbeRequest
from explorer.agent.protocol import Code
from explorer.agent.ring_buffer import PageLayout
from explorer.agent.tracefs import Instance, Tracefs

_DRAIN_SECONDS = 0.1
_LARGEST_BATCH = 2 << 20
"""Bytes of records; as JSON at most six times as many, which is within ``protocol.MAX_ANSWER``."""

Row = List[Any]


class Armed(NamedTuple):
    """A probe that is armed."""

    probe: int
    event: str
    definition: str


class _Event:
    """A definition of ours, and the probe that uses it at the moment, if one does."""

    def __init__(self, name: str, definition: str, place: str, request: ProbeRequest) -> None:
        self.name = name
        self.definition = definition
        self.place = place
        self.request = request
        self.id = -1
        self.decoder: Optional[HitDecoder] = None
        self.probe: Optional[int] = None
        self.hits_before = 0
        self.missed_before = 0


class _Running:
    """The instance and what is read from it."""

    def __init__(self, tracefs: Tracefs, instance: Instance) -> None:
        self.instance = instance
        self.births = processes.Births(instance.format(processes.NEW_TASK))
        self.buffers = Buffers(instance, PageLayout.parse(tracefs.header_page()), self.births.event)
        self._watching = False

    def watch_births(self, on: bool) -> None:
        """Record the birth of threads, or no longer."""
        if on is not self._watching:
            self.instance.enable(processes.NEW_TASK, on)
            self._watching = on


class Engine:
    """Probes through tracefs.

    Args:
        root: The directory that the machine's file tree begins at.
        machine: The architecture as ``uname -m`` prints it.
    """

    def __init__(self, root: str, machine: str) -> None:
        self._root = root
        self._machine = machine
        self._text = KernelText(root)
        self._table = processes.ProcessTable(root)
        self._accounts = Accounts()
        self._tracefs: Optional[Tracefs] = None
        self._running: Optional[_Running] = None
        self._group = session_name.own(root)
        self._events: Dict[str, _Event] = {}
        self._by_id: Dict[int, _Event] = {}
        self._by_probe: Dict[int, _Event] = {}
        self._focus: List[int] = []
        self._numbers = itertools.count(1)
        self._names = itertools.count(1)

    @property
    def armed(self) -> bool:
        """Whether any probe is armed."""
        return bool(self._by_probe)

    @property
    def unused(self) -> bool:
        """Whether there are definitions, and no probe that uses them."""
        return bool(self._events) and not self._by_probe

    @property
    def lost(self) -> int:
        """Events overwritten in the buffers so far."""
        return self._accounts.lost

    def fileno(self) -> int:
        """A descriptor that is readable while there are events; only while a probe is armed."""
        assert self._running is not None
        return self._running.buffers.fileno()

    def arm(self, probe: object) -> Armed:
        """Arm a probe as a request describes it.

        Raises:
            RequestError: It is not well-formed, or the kernel cannot or will not.
        """
        request = probe_definition.parse(probe, self._machine)
        capabilities.require(self._root)
        tracefs = self._tracefs = self._tracefs or Tracefs(self._root)
        place = self._place(request)
        running = self._running = self._running or self._start(tracefs)
        event = self._event(tracefs, running, request, place)
        number = next(self._numbers)
        event.probe = number
        self._by_probe[number] = event
        self._accounts.open(number)
        try:
            running.watch_births(True)
            running.instance.enable(f"{self._group}/{event.name}", True)
        except OSError as error:
            event.probe = None
            del self._by_probe[number]
            self._accounts.close(number)
            raise refusals.not_enabled(error, place) from None
        return Armed(number, event.name, event.definition)

    def disarm(self, number: object, keep: int) -> int:
        """Stop a probe. Its last events are still to be collected: ``collect``, then ``finish``.

        Args:
            number: The probe's, or whatever a request has there.
            keep: As for ``drain``.

        Returns:
            The probe's number.

        Raises:
            RequestError: There is no such probe.
        """
        if not isinstance(number, int) or number not in self._by_probe:
            raise RequestError(Code.BAD_REQUEST, f"no probe {number!r} is armed")
        assert self._running is not None
        event = self._by_probe[number]
        # What fires while the kernel takes the probe away is counted by it but not traced: count before that.
        profile = self._profile()
        self._running.instance.enable(f"{self._group}/{event.name}", False)
        self.drain(keep, float("inf"))
        self._accounts.reconcile(profile, self._running.buffers.overwritten())
        return number

    def finish(self, number: int) -> List[int]:
        """Forget a probe that ``disarm`` stopped; its final counters."""
        event = self._by_probe.pop(number)
        event.probe = None
        return self._accounts.close(number)

    def focus(self, pids: Sequence[int]) -> None:
        """Record only what these processes and their descendants do; empty: everybody.

        Raises:
            RequestError: One of them does not exist.
        """
        for pid in pids:
            if not os.path.isdir(os.path.join(self._root, "proc", str(pid))):
                raise RequestError(Code.BAD_REQUEST, f"there is no process {pid}")
        self._focus = list(pids)
        if self._running is not None:
            self._apply_focus(self._running.instance)

    def survey(self, keep: int) -> None:
        """Compare the kernel's own counts with ours; once a second or so.

        Args:
            keep: As for ``drain``.
        """
        profile = self._profile()
        assert self._running is not None
        if self.drain(keep):
            self._accounts.reconcile(profile, self._running.buffers.overwritten())

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
        assert self._running is not None
        drained = self._running.buffers.drain(keep, seconds)
        if drained.follows_loss:
            self._table.forget()  # births were perhaps among what was lost
        self._learn_births(drained)
        for identity, count in drained.counts.items():
            event = self._by_id.get(identity)
            if event is not None and event.probe is not None:
                self._accounts.decoded(event.probe, count)
        return drained.complete

    def collect(self, rows: int) -> List[Row]:
        """The newest events as rows, oldest first; what else was kept is let go.

        Args:
            rows: How many at most.
        """
        if self._running is None:
            return []
        chosen: List[Row] = []
        size = 0
        for sighting in self._running.buffers.newest():
            if len(chosen) >= rows or size > _LARGEST_BATCH:
                break
            row = self._row(sighting)
            if row is not None:
                chosen.append(row)
                size += sighting.record[2] - sighting.record[1]
        chosen.reverse()
        return chosen

    def counters(self) -> Dict[int, List[int]]:
        """The counters of all armed probes."""
        return self._accounts.counters()

    def rest(self) -> List[str]:
        """Delete the definitions that no probe uses and stop watching births; only while no probe is armed.

        Returns:
            What could not be deleted, each with the reason.
        """
        running = self._running
        assert running is not None
        running.watch_births(False)
        self.drain(0, float("inf"))
        self._table.forget()
        self._accounts.settle(running.buffers.overwritten())
        left = self._delete_events()
        self._accounts.settle(running.buffers.overwritten())  # deleting set the kernel's count to zero
        return left

    def close(self) -> List[str]:
        """Disarm everything and leave the machine as it was.

        Returns:
            What is left, each with the reason; empty when all is clean.
        """
        left: List[str] = []
        if self._running is not None:
            running, self._running = self._running, None
            self._by_probe.clear()
            running.buffers.close()
            try:
                running.instance.remove()  # disables its events too
            except OSError as error:
                left.append(f"instance {self._group}: {error.strerror}")
        if self._tracefs is not None:
            try:
                left += self._delete_events()
            except OSError as error:
                left.append(f"group {self._group}: {error.strerror}")
        return left

    def _place(self, request: ProbeRequest) -> str:
        if request.address is not None:
            return refusals.place_of_address(self._text, request.address)
        if request.module and not os.path.exists(os.path.join(self._root, "sys/module", request.module, "initstate")):
            raise refusals.module_not_loaded(request.module)
        if request.offset:
            refusals.check_offset(self._text, request)
        return request.place

    def _start(self, tracefs: Tracefs) -> _Running:
        instance = tracefs.instance(self._group)
        try:
            instance.create()
            if instance.has("set_event_notrace_pid"):  # since 5.7; a probe that saw its own reader would feed itself
                instance.write("set_event_notrace_pid", str(os.getpid()))
            instance.write("options/event-fork", "1")
            self._apply_focus(instance)
            return _Running(tracefs, instance)
        except OSError as error:
            if instance.exists:
                instance.remove()
            raise RequestError(
                Code.FAILED, f"cannot make a trace instance: {error.strerror}", "kexplore doctor"
            ) from None

    def _apply_focus(self, instance: Instance) -> None:
        self._table.forget()  # births outside the focus are not seen
        instance.write("set_event_pid", "", os.O_TRUNC)
        known: set[int] = set()
        while self._focus:
            # Children born between the look and the write are found by the next look; the kernel adds later ones.
            found = processes.with_descendants(self._root, self._focus) - known
            if not found:
                break
            instance.write("set_event_pid", " ".join(map(str, sorted(found))))
            known |= found

    def _event(self, tracefs: Tracefs, running: _Running, request: ProbeRequest, place: str) -> _Event:
        for event in self._events.values():
            if event.request == request and event.place == place and event.probe is None:
                profile = tracefs.profile()
                if event.name in profile:  # else somebody deleted it meanwhile
                    event.hits_before, event.missed_before = profile[event.name]
                    return event
        name = probe_definition.event_name(f"kx{os.getpid()}_{next(self._names)}", request.symbol or place)
        definition = request.definition(self._group, name, place)
        try:
            tracefs.define(definition)
        except OSError as error:
            complaint = tracefs.complaint(definition)
            raise refusals.not_defined(error, complaint, request, place, self._text, self._root) from None
        event = _Event(name, definition, place, request)
        self._events[name] = event
        described = EventFormat.parse(running.instance.format(f"{self._group}/{name}"))
        event.id = described.id
        event.decoder = HitDecoder(described, request.value_fields, request.register_fields)
        self._by_id[event.id] = event
        return event

    def _delete_events(self) -> List[str]:
        assert self._tracefs is not None
        self._events.clear()
        self._by_id.clear()
        return self._tracefs.remove_group(self._group)

    def _profile(self) -> Dict[int, Tuple[int, int]]:
        assert self._tracefs is not None
        profile = self._tracefs.profile()
        counts = {}
        for number, event in self._by_probe.items():
            hits, missed = profile[event.name]
            counts[number] = (hits - event.hits_before, missed - event.missed_before)
        return counts

    def _learn_births(self, drained: Drained) -> None:
        assert self._running is not None
        for page, record in drained.watched:
            self._table.born(self._running.births.decode(page, record))

    def _row(self, sighting: Sighting) -> Optional[Row]:
        event = self._by_id.get(sighting.record[3])
        if event is None or event.probe is None or event.decoder is None:
            return None
        hit = event.decoder.decode(sighting.page, sighting.record)
        self._accounts.shown(event.probe)
        return [
            event.probe, sighting.record[0], sighting.cpu, hit.tid, self._table.process_of(hit.tid), hit.comm,
            hit.context, hit.values, hit.registers,
        ]  # fmt: skip
