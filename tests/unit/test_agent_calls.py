"""Counting the records of the function tracer, and what they cost."""

from __future__ import annotations

import struct
from collections import Counter

import pytest

from explorer.agent.budget import Budget
from explorer.agent.call_records import CallRecords
from explorer.agent.ring_buffer import RingBufferError
from tests.ring_buffer_pages import LAYOUT, discarded, event, page, rest_is_empty, time_extend

FORMAT = """name: function
ID: 1
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;
\tfield:unsigned long parent_ip;\toffset:16;\tsize:8;\tsigned:0;
"""
OWN = 4711
FIRST, SECOND = 0xFFFFFFFF81000004, 0xFFFFFFFF81000104


def call(address: int, thread: int = 1, number: int = 1, delta: int = 7) -> bytes:
    return event(delta, struct.pack("<HBBiQQ", number, 0, 0, thread, address, 0xFFFFFFFF82000000))


def count(*records: bytes) -> tuple[Counter[int], int]:
    calls: Counter[int] = Counter()
    own = CallRecords(LAYOUT, FORMAT, OWN).count(page(1000, *records), calls)
    return calls, own


FLOOD = [call(SECOND if number % 3 else FIRST, number) for number in range(1, 140)]


@pytest.mark.parametrize(
    "between",
    [b"", time_extend(1 << 30), discarded(5, 24), call(FIRST, number=300), call(FIRST, OWN)],
    ids=["nothing", "a pause", "a record given up", "another event", "a call of the agent's"],
)
def test_every_call_is_counted_whatever_lies_between(between: bytes) -> None:
    calls, own = count(*FLOOD[:50], between, *FLOOD[50:])
    assert calls == {FIRST: 46, SECOND: 93}
    assert own == (between == call(FIRST, OWN))


def test_a_page_that_is_not_full() -> None:
    assert count(call(FIRST), rest_is_empty()) == ({FIRST: 1}, 0)
    assert count() == ({}, 0)


def test_a_number_that_looks_like_the_agents_thread_is_no_call_of_its() -> None:
    assert count(call(OWN), call(FIRST)) == ({OWN: 1, FIRST: 1}, 0)


def test_a_damaged_page_is_refused() -> None:
    with pytest.raises(RingBufferError):
        CallRecords(LAYOUT, FORMAT, OWN).count(b"\xff" * 4096, Counter())


def test_records_of_another_kind_are_refused() -> None:
    with pytest.raises(RingBufferError, match="no field 'ip'"):
        CallRecords(LAYOUT, FORMAT.replace(" ip;", " pc;"), OWN)


@pytest.mark.parametrize(
    ("budget", "rate", "share", "exceeded"),
    [
        (Budget(None, 0.02), 1e9, 0.019, False),
        (Budget(None, 0.02), 1, 0.021, True),
        (Budget(1000, None), 1001, 0, True),
        (Budget(1000, None), 999, 1, False),
        (Budget(None, None), 1e9, 1, False),
    ],
)
def test_a_budget_is_exceeded_by_one_rate_or_by_all_together(
    budget: Budget, rate: float, share: float, exceeded: bool
) -> None:
    assert budget.exceeded_by(rate, share) is exceeded
