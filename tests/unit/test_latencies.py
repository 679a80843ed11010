"""Durations: percentiles against exact ones, the histogram's sums, the words."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.session.latencies import Latencies, duration


@given(st.lists(st.integers(0, 1 << 50), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_percentiles_are_right_to_within_a_hundredth(durations: list[int], share: float) -> None:
    latencies = Latencies()
    for each in durations:
        latencies.add(each)
    ordered = sorted(durations)
    exact = next(value for rank, value in enumerate(ordered, start=1) if rank >= share * len(ordered))
    told = latencies.percentile(share)
    assert told is not None
    assert abs(told - exact) <= exact / 100
    assert (latencies.longest, latencies.count) == (ordered[-1], len(ordered))


@given(st.lists(st.integers(0, 1 << 40), max_size=100))
def test_the_histogram_holds_each_call_in_its_power_of_two(durations: list[int]) -> None:
    latencies = Latencies()
    for each in durations:
        latencies.add(each)
    buckets = latencies.histogram()
    for bucket in buckets:
        assert bucket.calls == sum(bucket.least <= each < bucket.below for each in durations)
    assert sum(bucket.calls for bucket in buckets) == len(durations)
    assert all(below.below == above.least for below, above in itertools.pairwise(buckets))


def test_without_calls_nothing_is_told() -> None:
    assert Latencies().percentile(0.5) is None
    assert Latencies().histogram() == []


@pytest.mark.parametrize(
    ("nanoseconds", "words"),
    [(0, "0ns"), (999, "999ns"), (1000, "1.00µs"), (12_340, "12.3µs"), (999_499, "999µs"), (999_600, "1.00ms"),
     (50_123_456, "50.1ms"), (1_234_000_000, "1.23s"), (86_400_000_000_000, "86400s")],
)  # fmt: skip
def test_a_duration_has_three_digits_and_a_unit(nanoseconds: int, words: str) -> None:
    assert duration(nanoseconds) == words
