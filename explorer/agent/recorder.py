"""A session's own trace instance: whose calls are recorded in it, its buffers, and which process each thread was of."""

from __future__ import annotations

import os
from typing import List, Optional, Sequence, Set

from explorer.agent import processes
from explorer.agent.buffers import Buffers, Drained, Sighting
from explorer.agent.event_format import EventFormat
from explorer.agent.ring_buffer import PageLayout
from explorer.agent.tracefs import Tracefs


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
        self._filtered: Set[str] = set()
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

    def enable(self, event: str, on: bool) -> None:
        """Record ``GROUP/EVENT``, or no longer."""
        if on and event not in self._filtered:
            self._instance.write(f"events/{event}/filter", f"common_pid != {os.getpid()}")
            self._filtered.add(event)
        self._switches.turn(event, on)

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
        """Take records out of the buffers; see ``Buffers.drain``."""
        drained = self._buffers.drain(keep, seconds)
        if drained.follows_loss:
            self._processes.forget()  # births were perhaps among what was lost
        for page, record in drained.watched:
            self._processes.born(self._births.decode(page, record))
        return drained

    def newest(self) -> List[Sighting]:
        """The records kept since the last call, newest first."""
        return self._buffers.newest()

    def process_of(self, thread: int) -> Optional[int]:
        """The process of a thread; None when it was gone before it could be asked."""
        return self._processes.process_of(thread)

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
