"""How long calls took: a histogram of bounded size, and what it tells of the usual call and of the slowest."""

from __future__ import annotations

import collections
import dataclasses

_FINE = 6
"""Each power of two is divided into 2**6 steps: a percentile is off by less than 1%."""


@dataclasses.dataclass(frozen=True, slots=True)
class Bucket:
    """How many calls took from ``least`` to below ``below`` nanoseconds, a power of two and the next."""

    least: int
    below: int
    calls: int


class Latencies:
    """Durations in nanoseconds, of which the longest is exact and percentiles are to within 1%.

    Attributes:
        count: How many there are.
        longest: 0 while there are none.
    """

    def __init__(self) -> None:
        self._steps: collections.Counter[int] = collections.Counter()
        self.count = 0
        self.longest = 0

    def add(self, nanoseconds: int) -> None:
        """One more."""
        self._steps[_step(nanoseconds)] += 1
        self.count += 1
        self.longest = max(self.longest, nanoseconds)

    def percentile(self, share: float) -> int | None:
        """What so large a share of all calls did not exceed: 0.5 for the median; None while there are none."""
        rank = share * self.count
        passed = 0
        for step in sorted(self._steps):
            passed += self._steps[step]
            if passed >= rank:
                return min(middle_of(step), self.longest)
        return None

    def histogram(self) -> list[Bucket]:
        """All powers of two from the fastest call's to the slowest's."""
        if not self._steps:
            return []
        calls: collections.Counter[int] = collections.Counter()
        for step, number in self._steps.items():
            calls[max(middle_of(step).bit_length(), 1)] += number
        return [
            Bucket(1 << (bits - 1) if bits > 1 else 0, 1 << bits, calls[bits])
            for bits in range(min(calls), max(calls) + 1)
        ]


def _step(nanoseconds: int) -> int:
    """The number of the step that a duration falls in; those below 2**7 are told apart exactly."""
    shift = max(nanoseconds.bit_length() - _FINE - 1, 0)
    return (shift << _FINE) + (nanoseconds >> shift)


def middle_of(step: int) -> int:
    """The number in the middle of a step."""
    shift = max((step >> _FINE) - 1, 0)
    return ((step - (shift << _FINE)) << shift) + ((1 << shift) >> 1)


def duration(nanoseconds: int) -> str:
    """Three digits and a unit: ``850ns``, ``12.3µs``, ``4.56ms``, ``1.23s``."""
    if nanoseconds < 1000:
        return f"{nanoseconds}ns"
    for unit, size in (("µs", 1e3), ("ms", 1e6), ("s", 1e9)):
        scaled = nanoseconds / size
        if scaled < 999.5 or unit == "s":
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f}{unit}"
    raise AssertionError
