"""A session's own trace instance: whose calls are recorded in it, its buffers, and which process each thread was of."""

from __future__ import annotations

import os
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from explorer.agent import processes
from explorer.agent.buffers import Buffers, Drained, Kept
from explorer.agent.event_count import EventCount
from explorer.agent.event_format import EventFormat
from explorer.agent.ring_buffer import PageLayout, Record
from explorer.agent.tracefs import Tracefs

Judge = Callable[[bytes, Record, int], bool]
"""Whether a record, of a page and a processor, passes what the kernel could not ask of it."""


class Recorder:
    """An instance that is made here and removed by ``close``.

    The agent's own calls are not recorded: a probe that saw its own reader would feed itself. A filter of each event
    sees to that. ``set_event_notrace_pid`` would too, but hooks every context switch of the machine; so does
    ``set_event_pid``, which is therefore touched under a focus only.

    Args:
        root: The directory that the machine's file tree begins at.
        tracefs: Of that machine.
        name: Of the instance.
        pids: As for ``focus``.

    Raises:
        OSError: The kernel refused; nothing is left.
        RingBufferError: Its buffers are not what this agent can read.
    """

    def __init__(self, root: str, tracefs: Tracefs, name: str, pids: Sequence[int]) -> None:
        self._root = root
        self._processes = processes.ProcessTable(root)
        self._instance = tracefs.instance(name)
        self._watching = False
        self._filters: Dict[str, str] = {}
        self._judges: Dict[int, Judge] = {}
        self._counts: Dict[str, EventCount] = {}
        try:
            self._instance.create()
            if pids:
                self.focus(pids)
            self._births = processes.Births(self._instance.format(processes.NEW_TASK))
            self._switches = self._instance.switches()
            self._buffers = Buffers(self._instance, PageLayout.parse(tracefs.header_page()), self._births.event)
        except BaseException:
            if self._instance.exists:
                self._instance.remove()
            raise

    def fileno(self) -> int:
        """A descriptor that is readable while there is something in a buffer."""
        return self._buffers.fileno()

    def describe(self, event: str) -> EventFormat:
        """How the records of ``GROUP/EVENT`` look."""
        return EventFormat.parse(self._instance.format(event))

    def enable(self, event: str, on: bool, *, counted: bool = False) -> None:
        """Record ``GROUP/EVENT``, or no longer; a filter was set before.

        Args:
            event: The event.
            on: Whether to record it.
            counted: Count its hits too, whenever it is recorded from now on: the kernel does not.
        """
        if counted:
            self._counts.setdefault(event, EventCount(self._instance, event))
        if on and event in self._counts:
            self._counts[event].turn(True)
        self._switches.turn(event, on)
        if not on and event in self._counts:
            self._counts[event].turn(False)

    def counts(self) -> Dict[str, int]:
        """The hits of events that are counted here, by the event's name without its group."""
        return {event.rpartition("/")[2]: count.hits() for event, count in self._counts.items()}

    def set_filter(self, event: str, text: str) -> None:
        """Let the kernel reject what ``text`` does not describe, besides the agent's own calls.

        Args:
            event: ``GROUP/EVENT``, recorded at the moment or not.
            text: In the language of event filters; "" for everything.

        Raises:
            OSError: The kernel refused it; the filter is as it was.
        """
        others = f"common_pid != {os.getpid()}"
        text = f"({others}) && {text}" if text else others
        before = self._filters.get(event)
        if text == before:
            return
        try:
            self._instance.write(f"events/{event}/filter", text)
        except OSError:
            if before is not None:  # the kernel has dropped it
                self._instance.write(f"events/{event}/filter", before)
            raise
        self._filters[event] = text

    def judge(self, event: int, judge: Optional[Judge]) -> None:
        """Have the records of an event judged as they come out of the buffers, by its id; None: no longer."""
        if judge is None:
            self._judges.pop(event, None)
        else:
            self._judges[event] = judge

    def watch_births(self, on: bool) -> None:
        """Record the birth of threads, or no longer."""
        if on is self._watching:
            return
        self._switches.turn(processes.NEW_TASK, on)
        self._watching = on
        self._processes.forget()

    def focus(self, pids: Sequence[int]) -> None:
        """Record only what these processes and their descendants do; empty: everybody."""
        self._processes.forget()  # births outside the focus are not seen
        self._instance.write("options/event-fork", "1" if pids else "0")
        if not pids:
            self._instance.write("set_event_pid", "", os.O_TRUNC)
            return
        known: Set[int] = set()
        flags = os.O_TRUNC
        while True:
            # Children born between the look and the write are found by the next look; the kernel adds later ones.
            found = processes.with_descendants(self._root, list(pids)) - known
            if not found and known:
                return
            # Nobody left to look at is not the same as looking at everybody: then the dead are looked at.
            self._instance.write("set_event_pid", " ".join(map(str, sorted(found or pids))), flags)
            known |= found or set(pids)
            flags = 0

    def drain(self, keep: int, seconds: float) -> Drained:
        """Take records out of the buffers, and those away that do not pass their judge; see ``Buffers.drain``."""
        drained = self._buffers.drain(keep, seconds, hold=bool(self._judges))
        if drained.follows_loss:
            self._processes.forget()  # births were perhaps among what was lost
        for page, record in drained.watched:
            self._processes.born(self._births.decode(page, record))
        for held in drained.held:  # now: a judge may ask for the process of a thread that was just born
            passed = [record for record in held.records if self._passes(held.page, record, held.cpu.number, drained)]
            self._buffers.keep(held._replace(records=passed), keep)
        return drained

    def _passes(self, page: bytes, record: Record, cpu: int, drained: Drained) -> bool:
        judge = self._judges.get(record[3])
        if judge is None or judge(page, record, cpu):
            return True
        drained.rejected[record[3]] += 1
        return False

    def newest(self) -> List[Kept]:
        """The records kept since the last call; see ``Buffers.newest``."""
        return self._buffers.newest()

    @property
    def processes(self) -> Mapping[int, Optional[int]]:
        """The process of any thread, as ``process_of`` tells it."""
        return self._processes

    def skipped(self, time: int) -> None:
        """A record of this time will not be shown."""
        self._buffers.skipped(time)

    @property
    def complete_between(self) -> Tuple[int, int]:
        """Since when and until when nothing is missing among the records that were kept and not skipped."""
        return self._buffers.gap_until, self._buffers.complete_until

    def process_of(self, thread: int) -> Optional[int]:
        """The process of a thread; None when it was gone before it could be asked."""
        return self._processes[thread]

    def overwritten(self) -> int:
        """How many records were lost so far."""
        return self._buffers.overwritten()

    def close(self) -> None:
        """Remove the instance; the kernel disables its events.

        Raises:
            OSError: Somebody has one of its files open.
        """
        self._buffers.close()
        self._switches.close()
        self._instance.remove()
