"""Pairing entries with returns: threads, recursion, interrupts; whatever is missing, never a wrong pair."""

from __future__ import annotations

import dataclasses
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.session.pairing import Call, Outcome, Pairing

POPPED = 8
STACK = 1 << 14


@dataclasses.dataclass(frozen=True)
class Seen:
    """An event of the made-up kernel; ``call`` says which one it truly belongs to."""

    time: int
    cpu: int
    tid: int
    context: str
    call: int
    frame: int
    enters: bool


class Thread:
    """A function's calls on one thread's stack, and in the interrupts that this thread suffers."""

    def __init__(self, kernel: Kernel, tid: int) -> None:
        self.kernel = kernel
        self.tid = tid
        self.calls: list[tuple[int, int, bool]] = []

    def top(self) -> int:
        return self.calls[-1][1] if self.calls else (self.tid + 1) * STACK * 4 - 64

    def step(self, choice: random.Random, losses: bool) -> None:
        kernel, cpu = self.kernel, choice.randrange(2)
        action = choice.random()
        if action < 0.1:
            self._interrupt(cpu)
        elif self.calls and (len(self.calls) > 5 or action < 0.5):
            number, frame, missed = self.calls.pop()
            if not missed:
                kernel.happen(cpu, self.tid, "task", number, frame, False)
        elif self.calls and losses and action < 0.55:
            del self.calls[choice.randrange(len(self.calls)) :]  # left for good, as by the end of the thread
        else:
            frame, number = self.top() - choice.choice((8, 16, 64)), next(kernel.numbers)
            self.calls.append((number, frame, losses and choice.random() < 0.2))
            kernel.happen(cpu, self.tid, "task", number, frame, True)

    def _interrupt(self, cpu: int) -> None:
        frame, number = (1 << 40) + cpu * STACK * 4, next(self.kernel.numbers)
        self.kernel.happen(cpu, self.tid, "irq", number, frame, True)
        self.kernel.happen(cpu, self.tid, "irq", number, frame, False)


class Kernel:
    """Where everything happens at a time of its own."""

    def __init__(self, threads: int) -> None:
        self.numbers = itertools.count(1)
        self.events: list[Seen] = []
        self.threads = [Thread(self, tid) for tid in range(threads)]

    def happen(self, cpu: int, tid: int, context: str, call: int, frame: int, enters: bool) -> None:
        self.events.append(Seen(10 * (len(self.events) + 1), cpu, tid, context, call, frame, enters))


def put(pairing: Pairing[Seen], event: Seen) -> None:
    if event.enters:
        pairing.enter(event, event.frame)
    else:
        pairing.leave(event, event.frame + POPPED)


def deliver(pairing: Pairing[Seen], events: list[Seen], choice: random.Random, loss: float) -> list[Call[Seen]]:
    """Hand the events over as an agent would: a round empties one processor's buffer after the other."""
    calls: list[Call[Seen]] = []
    left = list(events)
    while left:
        until = left[min(len(left) - 1, choice.randrange(1, 12))].time
        cutoffs = [until, until + 10 * choice.randrange(6)]
        came = [event for event in left if event.time <= cutoffs[event.cpu]]
        left = [event for event in left if event.time > cutoffs[event.cpu]]
        lost = [event for event in came if choice.random() < loss]
        for event in came:
            if event not in lost:
                put(pairing, event)
        if lost:
            pairing.cut(max(event.time for event in lost))
        calls += pairing.advance(until, 0.0)
    return calls + pairing.finish(0.0)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 1 << 32), threads=st.integers(1, 4), losses=st.booleans(), loss=st.sampled_from([0.0, 0.02]))
def test_no_pair_is_ever_wrong(seed: int, threads: int, losses: bool, loss: float) -> None:
    choice = random.Random(seed)
    kernel = Kernel(threads)
    for _ in range(120):
        choice.choice(kernel.threads).step(choice, losses)
    pairing: Pairing[Seen] = Pairing(POPPED)
    calls = deliver(pairing, kernel.events, choice, loss)
    paired = {call.entry.call for call in calls if call.returned is not None}
    assert all(call.returned is None or call.entry.call == call.returned.call for call in calls)
    counts = pairing.counts
    assert len(paired) == counts.calls
    if not loss:  # every call that returned visibly is found, missed returns or not
        returned = {event.call for event in kernel.events if not event.enters}
        assert paired == returned
        entries = sum(event.enters for event in kernel.events)
        assert entries == counts.calls + counts.left + pairing.under_way
        assert (counts.strays, counts.cut_entries, counts.cut_returns) == (0, 0, 0)


def entry(time: int, frame: int, *, tid: int = 7, call: int = 0, context: str = "task", cpu: int = 0) -> Seen:
    return Seen(time, cpu, tid, context, call, frame, True)


def returned(time: int, frame: int, *, tid: int = 7, call: int = 0) -> Seen:
    return Seen(time, 0, tid, "task", call, frame, False)


def pair(*events: Seen, pairing: Pairing[Seen] | None = None) -> list[Call[Seen]]:
    pairing = pairing or Pairing(POPPED)
    for event in events:
        put(pairing, event)
    return pairing.advance(1 << 60, 0.0)


def test_latency_and_depth_of_recursion() -> None:
    calls = pair(entry(100, 0x3F00), entry(200, 0x3E00), returned(250, 0x3E00), returned(400, 0x3F00))
    assert [(call.entry.time, call.latency, call.depth) for call in calls] == [(200, 50, 2), (100, 300, 1)]


def test_a_missed_return_shifts_nothing() -> None:
    calls = pair(entry(1, 0x3F00), entry(2, 0x3F00), returned(5, 0x3F00))
    assert [(call.entry.time, call.outcome, call.latency) for call in calls] == [
        (1, Outcome.LEFT, None), (2, Outcome.RETURNED, 3)
    ]  # fmt: skip


def test_a_return_further_out_leaves_what_is_further_in() -> None:
    calls = pair(entry(1, 0x3F00), entry(2, 0x3E00), returned(5, 0x3F00))
    assert [(call.entry.time, call.outcome) for call in calls] == [(2, Outcome.LEFT), (1, Outcome.RETURNED)]


def test_an_interrupt_is_on_a_stack_of_its_own() -> None:
    calls = pair(entry(1, 0x3F00), entry(2, 0x9F00, context="irq"), returned(5, 0x9F00), returned(6, 0x3F00))
    assert [(call.latency, call.depth) for call in calls] == [(3, 1), (5, 1)]


def test_the_same_frame_of_another_thread_is_another_call() -> None:
    assert pair(entry(1, 0x3F00, tid=7), returned(2, 0x3F00, tid=8)) == []


def test_a_return_across_a_gap_is_nobody_s() -> None:
    pairing: Pairing[Seen] = Pairing(POPPED)
    assert pair(entry(1, 0x3F00), pairing=pairing) == []
    pairing.cut(3)
    assert pair(returned(5, 0x3F00), pairing=pairing) == []
    assert (pairing.counts.cut_entries, pairing.counts.strays) == (1, 1)


def test_what_is_not_complete_yet_waits() -> None:
    pairing: Pairing[Seen] = Pairing(POPPED)
    put(pairing, returned(5, 0x3F00))
    assert pairing.advance(5, 0.0) == []
    put(pairing, entry(4, 0x3F00))  # from the buffer of another processor
    [call] = pairing.advance(6, 0.0)
    assert call.latency == 1


def test_what_never_returns_is_told_once_and_takes_bounded_memory() -> None:
    pairing: Pairing[Seen] = Pairing(POPPED, most_open=3)
    for tid in range(5):
        put(pairing, entry(tid + 1, 0x3F00, tid=tid))
    given_up = pairing.advance(1 << 60, now=0.0)
    assert [(call.entry.tid, call.outcome) for call in given_up] == [(0, Outcome.GIVEN_UP), (1, Outcome.GIVEN_UP)]
    assert pairing.overdue(29.0, patience=30) == []
    assert [call.entry.tid for call in pairing.overdue(30.0, patience=30)] == [2, 3, 4]
    assert pairing.overdue(31.0, patience=30) == pairing.finish(31.0) == []
    assert (pairing.under_way, pairing.counts.left) == (3, 2)


def test_a_call_that_was_told_to_wait_is_told_again_when_it_returns() -> None:
    pairing: Pairing[Seen] = Pairing(POPPED)
    pair(entry(1, 0x3F00), pairing=pairing)
    assert len(pairing.overdue(60.0, patience=30)) == 1
    [call] = pair(returned(99, 0x3F00), pairing=pairing)
    assert call.latency == 98


@pytest.mark.parametrize("context", ["irq", "softirq", "nmi"])
def test_stacks_of_different_processors_are_not_taken_for_one(context: str) -> None:
    """The idle threads of all processors have the same number."""
    calls = pair(
        entry(1, 0x3E00, tid=0, context=context, cpu=0),
        entry(2, 0x3F00, tid=0, context=context, cpu=1),
        returned(3, 0x3F00, tid=0),
        returned(4, 0x3E00, tid=0),
    )
    assert [call.latency for call in calls] == [1, 3]
