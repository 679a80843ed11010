"""The per-processor buffers of our instance: emptied often, counted wholly, the newest records kept for showing."""

from __future__ import annotations

import collections
import operator
import os
import select
import time
from typing import Counter, Deque, Dict, Iterator, List, NamedTuple, Tuple

from explorer.agent.ring_buffer import Page, PageLayout, Record, scan
from explorer.agent.tracefs import Instance

_MOST_KEPT = 2 << 20
"""Bytes of records for one batch, of all processors together; as JSON at most six times as many, which is within
``protocol.MAX_ANSWER``."""
_EVENT = operator.itemgetter(3)
"""Of a record."""


class Kept(NamedTuple):
    """Records of one page that may be shown, oldest first, and whose page it was."""

    page: bytes
    records: List[Record]
    cpu: int


class Held(NamedTuple):
    """A page whose records somebody has to judge before they may be kept."""

    cpu: _Cpu
    page: bytes
    records: List[Record]


class _Cpu:
    def __init__(self, number: int, instance: Instance) -> None:
        self.number = number
        self.pipe = instance.pipe(number)
        self.statistics = instance.statistics(number)
        self.kept: Deque[Kept] = collections.deque()
        self.records_kept = 0
        self.overwritten = 0


class Buffers:
    """The buffers of an instance.

    Args:
        instance: It exists.
        layout: Of its pages.
        watched: An event whose records are handed out one by one besides being counted.

    Attributes:
        complete_until: Everything before this time, in nanoseconds of the monotonic clock, has come out or was lost.
        gap_until: Up to this time, something was lost or not kept; 0 for never.
    """

    def __init__(self, instance: Instance, layout: PageLayout, watched: int) -> None:
        self._layout = layout
        self._watched = watched
        self._cpus: Dict[int, _Cpu] = {}
        self._overwritten = 0
        self.complete_until = 0
        self.gap_until = 0
        self._poll = select.epoll()
        for number in instance.cpus():
            cpu = _Cpu(number, instance)
            self._cpus[cpu.pipe] = cpu
            self._poll.register(cpu.pipe, select.EPOLLIN)
        # A processor that is not running reports an error, again and again.
        for pipe, event in self._poll.poll(0):
            if event & select.EPOLLERR:
                self._poll.unregister(pipe)
        # Every page of a full buffer, the reader's own, the rest of one that was being written, and one that the size
        # given in KiB may not show: a read too few would leave records for later that are explained as filtered now.
        self._most_reads = -(-instance.buffer_bytes() // layout.data_size) + 3
        self._pages_kept = max(2, _MOST_KEPT // layout.size)
        self._pages_kept_a_cpu = max(2, self._pages_kept // len(self._cpus))

    def fileno(self) -> int:
        """A descriptor that is readable while there is something in a buffer."""
        return self._poll.fileno()

    def drain(self, keep: int, seconds: float, hold: bool = False) -> Drained:
        """Take records out of the buffers.

        Args:
            keep: How many of the newest records to keep for ``newest``.
            seconds: When to stop in the middle of a flood; the next call goes on there.
            hold: Hand the pages out instead of keeping their records: the caller decides and calls ``keep``.

        Raises:
            RingBufferError: A page is damaged.
        """
        began = time.monotonic_ns()
        deadline = time.monotonic() + seconds
        drained = Drained()
        cpus = list(self._cpus.values())
        for position, cpu in enumerate(cpus):
            emptied = self._drain_cpu(cpu, keep, drained, hold, deadline)
            if not emptied or (time.monotonic() > deadline and position + 1 < len(cpus)):
                # The next call begins with those that had to wait.
                self._cpus = {each.pipe: each for each in cpus[position + 1 :] + cpus[: position + 1]}
                drained.complete = False
                break
        if drained.complete:
            self.complete_until = began
        return drained

    def pages(self) -> Iterator[bytes]:
        """Take whole pages out of the buffers, for whoever has no use for records; keeps nothing."""
        if self._poll.poll(0):
            for cpu in self._cpus.values():
                yield from self._pages_of(cpu)

    def _pages_of(self, cpu: _Cpu) -> Iterator[bytes]:
        # No more than a buffer holds: a processor that writes as fast as we read would keep us here for ever.
        for _ in range(self._most_reads):
            try:
                page = os.read(cpu.pipe, self._layout.size)
            except BlockingIOError:
                return
            if not page:
                return
            yield page

    def _drain_cpu(self, cpu: _Cpu, keep: int, drained: Drained, hold: bool, deadline: float) -> bool:
        """Whether it was emptied: on a slow machine a full buffer alone takes longer than whoever waits can bear."""
        for page in self._pages_of(cpu):
            scanned = scan(self._layout, page)
            drained.add(page, scanned, self._watched)
            if scanned.follows_loss:
                self.skipped(scanned.records[0][0] if scanned.records else time.monotonic_ns())
            held = Held(cpu, page, scanned.records)
            if hold:
                drained.held.append(held)
            else:
                self.keep(held, keep)
            if time.monotonic() > deadline:
                return False
        return True

    def keep(self, held: Held, keep: int) -> None:
        """Keep the records of a page for ``newest``.

        Args:
            held: The page; its records may have become fewer.
            keep: As for ``drain``.
        """
        if keep and held.records:
            held.cpu.kept.append(Kept(held.page, held.records, held.cpu.number))
            held.cpu.records_kept += len(held.records)
            self._let_go(held.cpu, keep)
        elif held.records:
            self.skipped(held.records[-1][0])

    def skipped(self, time: int) -> None:
        """A record of this time will not be shown, or one before it."""
        self.gap_until = max(self.gap_until, time)

    def _let_go(self, cpu: _Cpu, keep: int) -> None:
        while len(cpu.kept) > self._pages_kept_a_cpu or cpu.records_kept - len(cpu.kept[0].records) >= keep:
            gone = cpu.kept.popleft().records
            cpu.records_kept -= len(gone)
            self.skipped(gone[-1][0])

    def newest(self) -> List[Kept]:
        """The pages with the newest of the records kept since the last call; newest first."""
        kept = [page for cpu in self._cpus.values() for page in cpu.kept]
        for cpu in self._cpus.values():
            cpu.kept.clear()
            cpu.records_kept = 0
        kept.sort(key=_newest_time, reverse=True)
        for page in kept[self._pages_kept : self._pages_kept + 1]:
            self.skipped(page.records[-1][0])
        return kept[: self._pages_kept]

    def overwritten(self) -> int:
        """How many events were lost in all buffers so far."""
        for cpu in self._cpus.values():
            count = _lost(cpu.statistics.text())
            # The kernel begins anew where it empties a buffer: after a dynamic event was deleted.
            self._overwritten += count - cpu.overwritten if count >= cpu.overwritten else count
            cpu.overwritten = count
        return self._overwritten

    def close(self) -> None:
        """Close the pipes; without that the instance cannot be removed."""
        self._poll.close()
        for cpu in self._cpus.values():
            os.close(cpu.pipe)
            cpu.statistics.close()


class Drained:
    """What came out of the buffers in one go.

    Attributes:
        counts: Records by event id.
        watched: The records of the watched event, with their pages.
        held: All pages, where they were to be held; in the order of time for each processor.
        rejected: Records by event id that whoever judged them turned away.
        follows_loss: Whether something was overwritten before one of the pages.
        complete: Whether the buffers were emptied.
    """

    def __init__(self) -> None:
        self.counts: Counter[int] = collections.Counter()
        self.watched: List[Tuple[bytes, Record]] = []
        self.held: List[Held] = []
        self.rejected: Counter[int] = collections.Counter()
        self.follows_loss = False
        self.complete = True

    def add(self, page: bytes, scanned: Page, watched: int) -> None:
        """Count a page."""
        events = list(map(_EVENT, scanned.records))
        if watched in events:
            self.watched += [(page, record) for record in scanned.records if record[3] == watched]
        for event in set(events):  # of which there is one in a flood
            self.counts[event] += events.count(event)
        self.follows_loss = self.follows_loss or scanned.follows_loss


def _lost(statistics: str) -> int:
    """Events lost, from a processor's ``stats``."""
    lost = 0
    for line in statistics.splitlines():
        name, _, value = line.partition(": ")
        if name in ("overrun", "commit overrun", "dropped events"):
            lost += int(value)
    return lost


def _newest_time(kept: Kept) -> int:
    return kept.records[-1][0]
