"""The engine that works through tracefs: arms and disarms probes in a group and an instance of its own.

Nothing is created before the first probe is armed.
"""

from __future__ import annotations

import os
from typing import Dict, List, Optional, Sequence, Set, Tuple

from explorer.agent import filtering, fprobe, refusals, session_name
from explorer.agent.accounting import Accounts
from explorer.agent.armed import Armed
from explorer.agent.definitions import Definition, DefinitionRefused, Definitions
from explorer.agent.event_filter import EventFilter
from explorer.agent.failure import RequestError
from explorer.agent.kernel_text import KernelText
from explorer.agent.newest_rows import newest_rows
from explorer.agent.probe_definition import ProbeRequest
from explorer.agent.protocol import Code
from explorer.agent.recorder import Recorder
from explorer.agent.row_code import Row
from explorer.agent.tracefs import Tracefs

_DRAIN_SECONDS = 0.1
_SURVEY_SECONDS = 0.5
"""Longer, as counts can only be compared once the buffers were emptied."""


class Engine:
    """Probes through tracefs.

    Args:
        root: The directory that the machine's file tree begins at.
        machine: The architecture as ``uname -m`` prints it.
        text: Of that machine.
    """

    def __init__(self, root: str, machine: str, text: KernelText) -> None:
        self._root = root
        self._machine = machine
        self._text = text
        self._accounts = Accounts()
        self._tracefs: Optional[Tracefs] = None
        self._recorder: Optional[Recorder] = None
        self._session = session_name.own(root)
        self._definitions: Optional[Definitions] = None
        self._by_probe: Dict[int, Definition] = {}
        self._focus: List[int] = []
        self._suspended: Set[int] = set()

    @property
    def armed(self) -> bool:
        """Whether any probe is armed."""
        return bool(self._by_probe)

    def numbers(self) -> List[int]:
        """Of the probes that are armed."""
        return list(self._by_probe)

    def request_of(self, number: int) -> ProbeRequest:
        """An armed probe, in the terms of its mechanism."""
        return self._by_probe[number].request

    @property
    def events(self) -> int:
        """Events that came out of the buffers so far."""
        return self._accounts.events

    @property
    def definitions(self) -> int:
        """How many definitions there are, used or not."""
        return len(self._definitions or ())

    @property
    def unused(self) -> bool:
        """Whether there are definitions, and no probe that uses them."""
        return self.definitions > 0 and not self._by_probe

    @property
    def lost(self) -> int:
        """Events overwritten in the buffers so far."""
        return self._accounts.lost

    def fileno(self) -> int:
        """A descriptor that is readable while there are events; only while a probe is armed."""
        assert self._recorder is not None
        return self._recorder.fileno()

    def arm(self, number: int, asked: ProbeRequest, chosen: EventFilter, entry: Optional[int] = None) -> Armed:
        """Arm a probe.

        Args:
            number: The probe's.
            asked: What it is.
            chosen: Its filter.
            entry: Of the return of a call, the number of the probe at its entry; here it makes no difference.

        Raises:
            RequestError: The kernel cannot or will not.
        """
        tracefs = self._tracefs = self._tracefs or Tracefs(self._root)
        definitions = self._definitions = self._definitions or Definitions(tracefs, self._session)
        request, cause = fprobe.choose(asked, self._machine, tracefs, self._text)
        place = self._place(request)
        recorder = self._recorder = self._recorder or self._start(tracefs)
        try:
            try:
                definition = definitions.take(request, place)
            except DefinitionRefused:
                if asked.mechanism != "auto" or request.mechanism == "kprobe":
                    raise
                request, cause = asked._replace(mechanism="kprobe"), "the kernel takes no fprobe there"
                definition = definitions.take(request, place)
        except DefinitionRefused as refused:
            raise refusals.not_defined(refused, request, place, self._text, self._root) from None
        definition.probe = number
        self._by_probe[number] = definition
        self._accounts.open(number)
        try:
            if chosen.remaining is not None:
                self.describe()
            filtering.begin(recorder, definition, chosen)
            recorder.watch_births(True)
            recorder.enable(definition.event, True, counted=request.mechanism == "fprobe")
        except (OSError, RequestError) as error:
            self.finish(number)
            raise error if isinstance(error, RequestError) else refusals.not_enabled(error, place) from None
        return Armed(number, definition.name, definition.line, "tracefs", request.mechanism, cause)

    def filter(self, number: int, chosen: EventFilter, keep: int) -> None:
        """Put another filter on a probe, which goes on counting.

        The hits of before have been drained and shown by the caller.

        Args:
            number: The probe's.
            chosen: The filter.
            keep: As for ``drain``.

        Raises:
            RequestError: The kernel refused it: then the filter is as it was.
        """
        assert self._recorder is not None
        self.describe()
        filtering.change(self._recorder, self._by_probe[number], chosen, lambda: self.drain(keep, float("inf")))

    def stop(self, numbers: Sequence[int], keep: int) -> None:
        """Disable probes and explain all that they have counted; their last events are still to be collected.

        Args:
            numbers: The probes'.
            keep: As for ``drain``.
        """
        assert self._recorder is not None
        # What fires while the kernel takes a probe away is counted by it but not traced: count before that.
        profile = self._profile()
        for number in numbers:
            self._recorder.enable(self._by_probe[number].event, False)
        self.drain(keep, float("inf"))
        self._accounts.reconcile(profile, self._recorder.overwritten())
        if self._accounts.unassigned:
            self._accounts.reconcile_ends(self._profile(), list(numbers))

    def suspend(self, number: int, keep: int) -> None:
        """Disable a probe, which stays armed as far as anybody else is concerned."""
        self.stop([number], keep)
        self._suspended.add(number)

    def resume(self, number: int) -> None:
        """Enable a suspended probe.

        Raises:
            OSError: The kernel refuses it by now.
        """
        assert self._recorder is not None
        definition = self._by_probe[number]
        # Only now: a hit that was under way when it was disabled is counted by the kernel later than that.
        definition.settle(self._counts(), self._accounts.hits(number))
        self._recorder.enable(definition.event, True)
        self._suspended.discard(number)

    def finish(self, number: int) -> List[int]:
        """Forget a probe that was stopped; its final counters."""
        definition = self._by_probe.pop(number)
        self._suspended.discard(number)
        definition.probe = None
        if self._recorder is not None:
            filtering.end(self._recorder, definition)
        return self._accounts.close(number)

    def focus(self, pids: Sequence[int]) -> None:
        """Record only what these processes, which exist, and their descendants do; empty: everybody."""
        self._focus = list(pids)
        if self._recorder is not None:
            self._recorder.focus(pids)

    def survey(self, keep: int) -> None:
        """Compare the kernel's own counts with ours; once a second or so.

        Args:
            keep: As for ``drain``.
        """
        profile = self._profile()
        assert self._recorder is not None
        if self.drain(keep, _SURVEY_SECONDS):
            self._accounts.reconcile(profile, self._recorder.overwritten())

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
        assert self._recorder is not None
        assert self._definitions is not None
        self.describe()
        drained = self._recorder.drain(keep, seconds)
        for identity, count in drained.counts.items():
            definition = self._definitions.by_id(identity)
            if definition is not None and definition.probe is not None:
                self._accounts.decoded(definition.probe, count)
                self._accounts.rejected(definition.probe, drained.rejected[identity])
        return drained.complete

    def describe(self) -> None:
        """Learn how the events of new probes look; may wait until the first of them are to be decoded.

        Raises:
            RingBufferError: Not as this agent expects.
        """
        if self._definitions is not None and self._recorder is not None:
            self._definitions.describe(self._recorder)

    def collect(self, rows: int) -> List[Row]:
        """The newest events as rows, oldest first; what else was kept is let go.

        Args:
            rows: How many at most.
        """
        if self._recorder is None or self._definitions is None:
            return []
        recorder = self._recorder
        found = newest_rows(recorder.newest(), rows, self._definitions.decoders(), recorder.processes)
        recorder.skipped(found.skipped)
        for probe, events in found.shown.items():
            self._accounts.shown(probe, events)
        return found.rows

    def counters(self) -> Dict[int, List[int]]:
        """The counters of all armed probes."""
        return self._accounts.counters()

    def counts(self) -> Dict[int, Tuple[int, int]]:
        """Hits that the kernel counted, and events decoded, of every probe since it was armed."""
        return {number: (hits, self._accounts.decoded_of(number)) for number, (hits, _) in self._profile().items()}

    @property
    def complete_between(self) -> Tuple[int, int]:
        """Since when and until when nothing is missing among the events."""
        return self._recorder.complete_between if self._recorder is not None else (0, 0)

    def rest(self) -> List[str]:
        """Delete some of the definitions that no probe uses and stop watching births; only while no probe is armed.

        It takes a while for each, so the caller asks again as long as there are any: ``unused``.

        Returns:
            What could not be deleted, each with the reason.
        """
        assert self._recorder is not None
        self._recorder.watch_births(False)
        self.drain(0, float("inf"))
        self._accounts.settle(self._recorder.overwritten())
        assert self._definitions is not None
        left = self._definitions.delete_group()
        self._accounts.settle(self._recorder.overwritten())  # deleting set the kernel's count to zero
        return left

    def release(self) -> List[str]:
        """Disarm everything; definitions that nobody uses are left.

        Returns:
            What is left besides, each with the reason.
        """
        left: List[str] = []
        if self._recorder is not None:
            recorder, self._recorder = self._recorder, None
            self._by_probe.clear()
            try:
                recorder.close()
            except OSError as error:
                left.append(f"instance {self._session}: {error.strerror}")
        return left

    def close(self) -> List[str]:
        """Disarm everything and leave the machine as it was.

        Returns:
            What is left, each with the reason; empty when all is clean.
        """
        left = self.release()
        while self._definitions:
            left += self._definitions.delete_group()
        return left

    def _place(self, request: ProbeRequest) -> str:
        if request.address is not None:
            return refusals.place_of_address(self._text, request.address)
        if request.module and not os.path.exists(os.path.join(self._root, "sys/module", request.module, "initstate")):
            raise refusals.module_not_loaded(request.module)
        if request.offset:
            refusals.check_offset(self._text, request)
        return request.place

    def _start(self, tracefs: Tracefs) -> Recorder:
        try:
            return Recorder(self._root, tracefs, self._session, self._focus)
        except OSError as error:
            raise RequestError(
                Code.FAILED, f"cannot make a trace instance: {error.strerror}", "kexplore doctor"
            ) from None

    def _counts(self) -> Dict[str, Tuple[int, int]]:
        """Hits and missed of every event that can be ours, by its name; what an fprobe missed nobody knows."""
        assert self._tracefs is not None
        assert self._recorder is not None
        return {**self._tracefs.profile(), **{name: (hits, 0) for name, hits in self._recorder.counts().items()}}

    def _profile(self) -> Dict[int, Tuple[int, int]]:
        """The kernel's own hits and missed of each probe since it was armed; a suspended one stands where it stood."""
        counts = self._counts()
        profile = {number: definition.since_taken(counts) for number, definition in self._by_probe.items()}
        for number in self._suspended:
            profile[number] = self._accounts.hits(number), profile[number][1]
        return profile
