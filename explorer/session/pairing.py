"""Which return belongs to which entry: the calls of one function, put together from the events of two probes.

A call is known by its thread and by its frame: the stack pointer at its entry, which its return sees again (on x86-64
eight bytes above, as the return address has been popped). No other call of the function can have that frame before this
one has left it. So recursion, interrupts on stacks of their own, and returns that the kernel missed mix nothing up: an
entry whose frame is entered anew, or left by a return further out, has no return that was seen.

What that cannot tell is an event that is missing, where a loop calls again and again from one place: the return of a
later call then looks like that of an earlier one. Therefore nothing is paired across a gap, and only what is complete
is looked at: see ``since`` and ``until`` in ``explorer.agent.protocol``.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

MOST_OPEN = 4096
"""Calls under way that are kept; with one more, the oldest is given up."""

_SMALLEST_STACK = 1 << 14
"""Bytes of a thread's stack, to which it is aligned: the least of all architectures (THREAD_SIZE of x86-64)."""


class Hit(Protocol):
    """What has to be known of an event."""

    @property
    def time(self) -> int:
        """Nanoseconds of the kernel's clock."""

    @property
    def cpu(self) -> int:
        """The processor."""

    @property
    def tid(self) -> int:
        """The thread."""

    @property
    def context(self) -> str:
        """``task`` or what the thread was interrupted by."""


HitT = TypeVar("HitT", bound=Hit)


class Outcome(enum.Enum):
    """How a call ended, as far as could be seen."""

    RETURNED = "returned"
    LEFT = "its thread has left it, by a return that was missed or by no return at all"
    GIVEN_UP = "too many calls are under way to wait for all of them"
    WAITING = "no return so far"
    """Told once of a call that has been under way for long, and at the end of those still under way."""


@dataclasses.dataclass(frozen=True, slots=True)
class Call(Generic[HitT]):
    """A call as it was seen.

    Attributes:
        entry: Its beginning.
        returned: Its end; None unless ``outcome`` is RETURNED.
        depth: 1, or more where the function was under way on this stack already: recursion.
    """

    entry: HitT
    returned: HitT | None
    outcome: Outcome
    depth: int

    @property
    def latency(self) -> int | None:
        """Nanoseconds from its entry to its return."""
        return None if self.returned is None else self.returned.time - self.entry.time


@dataclasses.dataclass(slots=True)
class PairingCounts:
    """What became of the entries and returns that were looked at.

    Entries seen = calls + left + cut entries + those under way; returns seen = calls + strays + cut returns.

    Attributes:
        calls: Entries with their returns.
        left: Entries that will not be paired: their frame was left without a return that was seen, or too many waited.
        strays: Returns without an entry that was seen.
        cut_entries: Entries that were let go because something is missing after them.
        cut_returns: Returns before which something is missing, so that their entries are not looked for.
    """

    calls: int = 0
    left: int = 0
    strays: int = 0
    cut_entries: int = 0
    cut_returns: int = 0


@dataclasses.dataclass(slots=True)
class _Open(Generic[HitT]):
    hit: HitT
    frame: int
    depth: int
    heard: float
    told: bool = False

    def shares_stack(self, hit: Hit, frame: int) -> bool:
        """Whether another frame is certainly on the same stack."""
        mine = self.hit
        if mine.context != hit.context:
            return False
        return mine.cpu == hit.cpu if mine.context != "task" else (self.frame ^ frame) < _SMALLEST_STACK


class Pairing(Generic[HitT]):
    """Pairs the entries and returns of one function.

    Args:
        popped: How many bytes further up the stack pointer is at a return than at its entry.
        most_open: How many calls under way to keep.

    Attributes:
        counts: What became of all of them.
    """

    def __init__(self, popped: int, most_open: int = MOST_OPEN) -> None:
        self.counts = PairingCounts()
        self._popped = popped
        self._most_open = most_open
        self._waiting: list[tuple[HitT, int, bool]] = []
        self._since = 0
        self._open: dict[tuple[int, int], _Open[HitT]] = {}
        self._frames: dict[int, set[int]] = {}

    @property
    def under_way(self) -> int:
        """Calls without a return so far, those that will never return included."""
        return len(self._open)

    def enter(self, hit: HitT, stack_pointer: int) -> None:
        """An entry; it is looked at when ``advance`` comes to its time."""
        self._waiting.append((hit, stack_pointer, True))

    def leave(self, hit: HitT, stack_pointer: int) -> None:
        """A return; likewise."""
        self._waiting.append((hit, stack_pointer - self._popped, False))

    def cut(self, since: int) -> None:
        """Nothing up to this time can be relied on to be whole: what is open since before is let go."""
        if since <= self._since:
            return
        self._since = since
        for key in [key for key, call in self._open.items() if call.hit.time <= since]:
            self.counts.cut_entries += 1
            self._close(key)

    def advance(self, until: int, now: float) -> list[Call[HitT]]:
        """Look at everything before a time; the calls that ended by it.

        Args:
            until: Nanoseconds of the kernel's clock; all hits before were handed over.
            now: Seconds of the monotonic clock here, for ``overdue``.
        """
        due = sorted((each for each in self._waiting if each[0].time < until), key=lambda each: each[0].time)
        if due:
            self._waiting = [each for each in self._waiting if each[0].time >= until]
        calls: list[Call[HitT]] = []
        for hit, frame, enters in due:
            if hit.time <= self._since:
                self.counts.cut_entries += enters
                self.counts.cut_returns += not enters
            elif enters:
                calls += self._entered(hit, frame, now)
            else:
                calls += self._left(hit, frame)
        return calls

    def overdue(self, now: float, patience: float) -> list[Call[HitT]]:
        """The calls that have been under way for longer than that, in seconds; each is told once and still kept."""
        late: list[Call[HitT]] = []
        for call in self._open.values():  # oldest first
            if now - call.heard < patience:
                break
            if not call.told:
                call.told = True
                late.append(Call(call.hit, None, Outcome.WAITING, call.depth))
        return late

    def finish(self, now: float) -> list[Call[HitT]]:
        """Nothing more comes: the last calls, then those still under way that were not told yet."""
        calls = self.advance(1 << 64, now)
        calls += [Call(call.hit, None, Outcome.WAITING, call.depth) for call in self._open.values() if not call.told]
        return calls

    def _entered(self, hit: HitT, frame: int, now: float) -> Iterator[Call[HitT]]:
        yield from self._abandon(hit, frame, inclusive=True)
        if len(self._open) >= self._most_open:
            key = next(iter(self._open))
            self.counts.left += 1
            yield self._abandoned(key, Outcome.GIVEN_UP)
        frames = self._frames.setdefault(hit.tid, set())
        depth = 1 + sum(self._open[hit.tid, other].shares_stack(hit, frame) for other in frames)
        frames.add(frame)
        self._open[hit.tid, frame] = _Open(hit, frame, depth, now)

    def _left(self, hit: HitT, frame: int) -> Iterator[Call[HitT]]:
        yield from self._abandon(hit, frame, inclusive=False)
        key = hit.tid, frame
        if key not in self._open:
            self.counts.strays += 1
            return
        call = self._close(key)
        self.counts.calls += 1
        yield Call(call.hit, hit, Outcome.RETURNED, call.depth)

    def _abandon(self, hit: HitT, frame: int, *, inclusive: bool) -> Iterator[Call[HitT]]:
        """Give up the calls whose frames lie where this one's thread cannot be any more: stacks grow downwards."""
        for other in sorted(self._frames.get(hit.tid, ())):
            if other > frame or (other == frame and not inclusive):
                return
            if other == frame or self._open[hit.tid, other].shares_stack(hit, frame):
                self.counts.left += 1
                yield self._abandoned((hit.tid, other), Outcome.LEFT)

    def _abandoned(self, key: tuple[int, int], outcome: Outcome) -> Call[HitT]:
        call = self._close(key)
        return Call(call.hit, None, outcome, call.depth)

    def _close(self, key: tuple[int, int]) -> _Open[HitT]:
        tid, frame = key
        frames = self._frames[tid]
        frames.discard(frame)
        if not frames:
            del self._frames[tid]
        return self._open.pop(key)
