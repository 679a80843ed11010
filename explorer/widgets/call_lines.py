"""What calls tell of a function, as short as a pane's title and as whole as its card needs it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich.segment import Segment

from explorer.session.balance import MOST_MAXACTIVE
from explorer.session.calls import Calls
from explorer.session.latencies import duration
from explorer.session.probe import Probe, ProbeState
from explorer.widgets.cells import count, fit_right, short_count
from explorer.widgets.palette import ERROR, FAINT, LOCATION, MUTED, TEXT

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def latency(calls: Calls) -> str:
    """``p50 12.3µs p95 40.1µs max 1.20ms``; "" before the first call was seen whole."""
    latencies = calls.latencies
    usual, slow = latencies.percentile(0.5), latencies.percentile(0.95)
    if usual is None or slow is None:
        return ""
    return f"p50 {duration(usual)} p95 {duration(slow)} max {duration(latencies.longest)}"


def sentence(probe: Probe | None) -> str:
    """How long the calls of a probe take, or why its returns cannot be relied on; "" where there is nothing to say."""
    if probe is None:
        return ""
    if probe.alarm is not None:
        remedy = f" · m: follow {probe.alarm.maxactive}" if probe.maxactive < MOST_MAXACTIVE else ""
        return f"ALARM {probe.alarm.what}{remedy} · {probe.alarm.why}"  # the end may be cut
    return latency(probe.calls) if probe.calls is not None else ""


def fate(calls: Calls) -> str:
    """What became of the calls: how many were seen whole, what there is of the others."""
    figures = calls.figures()
    words = [f"{count(figures['seen_whole'])} seen whole"]
    for name, said in (
        ("under_way", "under way"), ("no_return", "without a return"), ("no_entry", "returns without an entry"),
        ("not_paired_across_gaps", "not paired across gaps"),
    ):  # fmt: skip
        if figures[name]:
            words.append(f"{count(figures[name])} {said}")
    if calls.returns_filtered:
        words.append("of those without a return most did not pass the filter")
    return ", ".join(words)


def call_lines(probe: Probe, width: int) -> list[list[Segment]]:
    """What a card says of a probe's calls; nothing where it is no probe of calls and raises no alarm."""
    lines: list[list[Segment]] = []
    if probe.alarm is not None:
        words = f"! ALARM, {probe.spec.kind.value} probe: {probe.alarm.text}"
        remedy = f"; m, on the probe, arms it anew to follow {probe.alarm.maxactive}"
        words += remedy if probe.maxactive < MOST_MAXACTIVE else ""
        lines += [[Segment(line, ERROR)] for line in textwrap.wrap(words, max(width, 10), subsequent_indent="  ")]
    if probe.calls is not None and probe.state is ProbeState.ARMED:
        words = f"calls: {fate(probe.calls)}"
        lines += [[Segment(line, TEXT)] for line in textwrap.wrap(words, max(width, 10), subsequent_indent="  ")]
        if took := latency(probe.calls):
            lines += [[Segment(took, TEXT)], *_histogram(probe.calls, width)]
    return lines


def _histogram(calls: Calls, width: int) -> Iterator[list[Segment]]:
    """A line for each power of two: from where, how many, a bar."""
    buckets = calls.latencies.histogram()
    most = max((bucket.calls for bucket in buckets), default=0)
    room = max(width - 16, 1)
    for bucket in buckets:
        yield [
            Segment("≥ ", FAINT),
            Segment(fit_right(duration(bucket.least), 6), MUTED),
            Segment(fit_right(short_count(bucket.calls), 6) + " ", TEXT if bucket.calls else FAINT),
            Segment(bar(bucket.calls, most, room), LOCATION),
        ]


def bar(number: int, most: int, width: int) -> str:
    """As long as the number is large; at least an eighth of a cell where there is anything at all."""
    eighths = -(-number * width * 8 // most)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
