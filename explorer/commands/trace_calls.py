"""Whole calls as ``kexplore trace`` prints them: their lines, their JSON, their figures at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from explorer.session.balance import MOST_MAXACTIVE
from explorer.session.events import Called
from explorer.session.latencies import duration
from explorer.session.probe import RETURNED, Probe
from explorer.session.values import Value

_BAR = 40


def words(called: Called) -> str:
    """How long a call took, or why that is not known."""
    depth = f" depth={called.depth}" if called.depth > 1 else ""
    return (f"took {duration(called.latency)}" if called.latency is not None else f"({called.cause})") + depth


def members(called: Called, values: Mapping[str, Value]) -> dict[str, Any]:
    """What a call has in ``trace --json`` that a single hit has not; ``return`` is null where none was seen."""
    returned = values.get(RETURNED)
    return {
        "values": {name: value.to_json() for name, value in values.items() if name != RETURNED},
        "return": returned.to_json() if returned is not None and called.latency is not None else None,
        "entered": called.entered / 1e9, "latency_ns": called.latency, "depth": called.depth,
        "outcome": called.cause or "returned",
    }  # fmt: skip


def summary(probe: Probe) -> dict[str, Any]:
    """What the summary of ``trace --json`` says of a call besides the counters, which are of both its probes."""
    if probe.calls is None:
        return {}
    entry, returns = probe.calls.parts
    figures = {"calls": probe.calls.figures()}
    return {**figures, "entries": entry.counters.to_json(), "returns": returns.counters.to_json()}


def lines(probe: Probe) -> Iterator[str]:
    """The figures of a probe of calls, for a person."""
    if probe.calls is None:
        return
    figures = probe.calls.figures()
    unpaired = "; with its filter most of these did not pass it" if probe.filter is not None else ""
    yield (
        f"{figures['seen_whole']:,} calls seen whole, {figures['no_return']:,} without a return, "
        f"{figures['no_entry']:,} returns without an entry, {figures['under_way']:,} under way{unpaired}"
    )
    if figures["not_paired_across_gaps"]:
        yield f"{figures['not_paired_across_gaps']:,} not paired, as something is missing between entry and return"
    latency = figures["latency_ns"]
    if latency["max"] is None:
        return
    yield f"took p50 {duration(latency['p50'])}, p95 {duration(latency['p95'])}, max {duration(latency['max'])}"
    buckets = probe.calls.latencies.histogram()
    most = max(bucket.calls for bucket in buckets)
    for bucket in buckets:
        bar = "#" * -(-bucket.calls * _BAR // most)
        yield f"  {duration(bucket.least):>7} .. {duration(bucket.below):>7}  {bucket.calls:>9,} {bar}".rstrip()


def alarm(probe: Probe) -> str:
    """Why returns cannot be relied on to be all, and what to do; "" while they can."""
    if probe.alarm is None:
        return ""
    larger = probe.alarm.maxactive
    remedy = f"; --maxactive {larger} follows more" if probe.maxactive < MOST_MAXACTIVE else ""
    return f"ALARM: {probe.alarm.text}{remedy}"
