"""What is counted in the kernel: hits by a key, and the sizes of a number for each.

The agent sends totals, by the *step* that a number falls in (``explorer.agent.aggregation``); percentiles are to within
1%, sums and counts exact.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from explorer.agent.protocol import Message
from explorer.session.latencies import middle_of
from explorer.session.probe import Field, Probe
from explorer.session.probe_spec import ProbeKind
from symbols.errors import KexploreError

KEYS = ("comm", "pid", "tid", "cpu")
LATENCY = "latency"

Key = str | int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What to count.

    Attributes:
        by: One of ``KEYS``, the name of a value, or "" for one count of all.
        of: The name of a value, ``LATENCY`` of a call, or "" for hits alone.
    """

    by: str = ""
    of: str = ""

    def members(self, probe: Probe) -> dict[str, Any]:
        """The ``aggregate`` member of what the agent is asked for a probe, or for one end of a call.

        Raises:
            KexploreError: The probe has no such number.
        """
        if probe.part_of is None:
            return {"by": _named(probe, self.by, KEYS), "of": _named(probe, self.of, ())}
        if probe.spec.kind is ProbeKind.ENTRY:
            return {"role": "begins", "by": _named(probe, self.by, KEYS)}
        return {"role": "ends", "of": LATENCY if self.of in ("", LATENCY) else _named(probe, self.of, ())}


def _named(probe: Probe, name: str, words: Iterable[str]) -> Any:
    if not name:
        return None
    if name in words:
        return name
    position = 0
    for field in probe.fields:
        if field.name == name:
            return ["value", position + _number_in(probe, field, position)]
        position += field.reads
    known = ", ".join([*words, *(field.name for field in probe.fields if field.reads == 1)])
    raise KexploreError(f"{probe.spec} has no number {name}", f"it has {known}" if known else "")


def _number_in(probe: Probe, field: Field, position: int) -> int:
    """Which of a field's reads is a number that says it all."""
    numbers = [
        place for place in range(field.reads) if probe.reads[position + place]["type"] not in ("string", "ustring")
    ]
    if len(numbers) != 1:
        raise KexploreError(f"{field.name} of {probe.spec} is not one number", field.cause)
    return numbers[0]


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One key.

    Attributes:
        key: A name, a number, or None where all are counted together.
        count: Its hits.
        total: The sum of the number.
        unread: How many of the hits had a number that could not be read.
        steps: The others, by the step that their number falls in, negative ones by its opposite.
    """

    key: Key
    count: int
    total: int
    unread: int
    steps: Mapping[int, int]

    @property
    def mean(self) -> float | None:
        """Of the numbers; None where there are none."""
        return self.total / (self.count - self.unread) if self.count > self.unread else None

    def percentile(self, share: float) -> int | None:
        """What so large a share of the numbers did not exceed, to within 1%; None where there are none."""
        rank, passed = share * (self.count - self.unread), 0
        for step in sorted(self.steps):
            passed += self.steps[step]
            if passed >= rank:
                return _number(step)
        return None

    def histogram(self) -> list[tuple[int, int, int]]:
        """The least, what all are below, and how many; a power of two each, without gaps."""
        counts: dict[int, int] = {}
        for step, count in self.steps.items():
            number = _number(step)
            bits = number.bit_length() if number >= 0 else -((-number).bit_length())
            counts[bits] = counts.get(bits, 0) + count
        return [(*_range(bits), counts.get(bits, 0)) for bits in range(min(counts), max(counts) + 1)] if counts else []

    def to_json(self) -> dict[str, Any]:
        """For a program."""
        if not self.steps:
            return {"key": self.key, "count": self.count}
        return {
            "key": self.key, "count": self.count, "sum": self.total, "unread": self.unread,
            "p50": self.percentile(0.5), "p95": self.percentile(0.95), "p99": self.percentile(0.99),
            "histogram": [[least, below, count] for least, below, count in self.histogram()],
        }  # fmt: skip


def _number(step: int) -> int:
    return middle_of(step) if step >= 0 else -middle_of(-step)


def _range(bits: int) -> tuple[int, int]:
    if bits == 0:
        return 0, 1
    if bits > 0:
        return 1 << (bits - 1), 1 << bits
    return -(1 << -bits) + 1, -(1 << (-bits - 1)) + 1


class Aggregate:
    """What one probe has counted so far.

    Attributes:
        wanted: What it counts.
        unpaired: Returns whose entry was not seen: calls that were under way when it was armed.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.unpaired = 0
        self._cells: dict[tuple[Key, int | None], tuple[int, int]] = {}

    def take(self, message: Message) -> None:
        """Take in a ``cells`` message of the protocol."""
        self.unpaired = int(message["unpaired"])
        for key, step, count, total in message["cells"]:
            self._cells[key, step] = int(count), int(total)

    def rows(self) -> list[Row]:
        """All keys, the most hits first."""
        cells: dict[Key, dict[int | None, tuple[int, int]]] = {}
        for (key, step), cell in self._cells.items():
            cells.setdefault(key, {})[step] = cell
        measured = bool(self.wanted.of)
        rows = [
            Row(
                key,
                sum(count for count, _ in steps.values()),
                sum(total for _, total in steps.values()),
                steps.get(None, (0, 0))[0],
                {step: count for step, (count, _) in steps.items() if step is not None} if measured else {},
            )
            for key, steps in cells.items()
        ]
        return sorted(rows, key=lambda row: (-row.count, str(row.key)))


def choices(probe: Probe) -> tuple[list[str], list[str]]:
    """What the hits of a probe can be counted by, and the sizes of what; see ``Wanted``."""
    entry, last = probe.parts[0], probe.parts[-1]
    sizes = LATENCY if probe.calls is not None else ""
    return ["", *KEYS, *_numbers(entry)], [sizes, *_numbers(last)]


def _numbers(probe: Probe) -> list[str]:
    names = []
    for field in probe.fields:
        with contextlib.suppress(KexploreError):
            _named(probe, field.name, ())
            names.append(field.name)
    return names
