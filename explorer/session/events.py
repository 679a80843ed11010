"""The record of a hit, and the journal that keeps the newest of them."""

from __future__ import annotations

import collections
import dataclasses
import itertools

from explorer.session.probe import Probe


@dataclasses.dataclass(frozen=True, slots=True)
class Called:
    """What makes an event a whole call.

    Attributes:
        entered: When it began, in nanoseconds of CLOCK_MONOTONIC of the target.
        latency: Nanoseconds from its entry to its return; None when no return was seen.
        depth: 1, or more in a recursion.
        cause: Why there is no return; "" when there is one.
    """

    entered: int
    latency: int | None
    depth: int
    cause: str


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One hit as the agent sent it, or one call; nothing is interpreted yet (see ``values.describe``).

    Attributes:
        number: Counts up from 1 through a journal's life.
        time: Nanoseconds of CLOCK_MONOTONIC of the target; of a call, when it returned, if it did.
        pid: The process; None when it was gone before the agent could ask.
        context: ``task``, ``softirq``, ``irq`` or ``nmi``; outside ``task`` the pid is just who was interrupted.
        raw: The raw values in the order of the probe's reads; None is a read that faulted. Of a call those at its
            return come last, and are not there when no return was seen.
        registers: As they came, see ``protocol.unpack_registers``; None when they were not asked for. Of a call, those
            at its entry.
        call: Of a call, how long it took; None for a single hit.
        stacks: The addresses of the kernel's call stack and of the process's, innermost first; None when they were not
            asked for.
    """

    number: int
    probe: Probe
    time: int
    cpu: int
    tid: int
    pid: int | None
    comm: str
    context: str
    raw: tuple[int | str | None, ...]
    registers: str | None
    call: Called | None = None
    stacks: tuple[tuple[int, ...], tuple[int, ...]] | None = None


class Journal:
    """The newest events of a session, oldest first, bounded.

    Attributes:
        dropped: How many events were forgotten to keep the bound.
    """

    def __init__(self, capacity: int = 20_000) -> None:
        self._events: collections.deque[Event] = collections.deque(maxlen=capacity)
        self.dropped = 0

    def append(self, event: Event) -> None:
        """Take one more, which gets the next number; the oldest goes when the journal is full."""
        if len(self._events) == self._events.maxlen:
            self.dropped += 1
        self._events.append(event)

    def __len__(self) -> int:
        return len(self._events)

    @property
    def first_number(self) -> int:
        """The number of the oldest event kept; one more than the last when it is empty."""
        return self._events[0].number if self._events else self.last_number + 1

    @property
    def last_number(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self.dropped + len(self._events)

    def __getitem__(self, number: int) -> Event:
        """The event of that number.

        Raises:
            IndexError: It is forgotten, or has not happened.
        """
        index = number - self.dropped - 1
        if not 0 <= index < len(self._events):
            raise IndexError(number)
        return self._events[index]

    def between(self, first: int, last: int) -> list[Event]:
        """The events numbered ``first`` to ``last``, both included, as far as they are kept."""
        start = max(0, first - self.dropped - 1)
        return list(itertools.islice(self._events, start, max(start, last - self.dropped)))

    def clear(self) -> None:
        """Forget all events; numbers go on."""
        self.dropped += len(self._events)
        self._events.clear()
