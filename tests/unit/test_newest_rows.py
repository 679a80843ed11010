"""Which of the records make the rows of a batch, and in which order."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from explorer.agent.buffers import Kept
from explorer.agent.event_format import EventFormat, HitDecoder, ValueField
from explorer.agent.newest_rows import newest_rows
from explorer.agent.processes import ProcessTable
from explorer.agent.ring_buffer import scan
from tests.ring_buffer_pages import LAYOUT, event, format_of, hit, page

OURS = (8, 9)
DECODERS = {
    identity: (
        identity + 100,
        HitDecoder(EventFormat.parse(format_of(identity, ("v0", 8, False))), [ValueField("v0", None)], []),
    )
    for identity in OURS
}


def kept(cpu: int, begin: int, events: list[int]) -> Kept:
    """A page of one processor with events of these ids, a nanosecond apart; each holds its own time."""
    records = [event(1, hit(each, 5, struct.pack("<Q", begin + n), b"sh")) for n, each in enumerate(events, start=1)]
    written = page(begin, *records)
    return Kept(written, scan(LAYOUT, written).records, cpu)


EVENTS = st.lists(st.sampled_from((*OURS, 9, 9, 400)), min_size=1, max_size=30)


@given(st.lists(st.tuples(st.integers(0, 3), EVENTS), max_size=6), st.integers(0, 200))
def test_the_newest_of_our_events_in_the_order_of_time(layout: list[tuple[int, list[int]]], most: int) -> None:
    # Pages of several processors overlap in time, but no two records are equally old.
    pages = [kept(cpu, 7 * number, events) for number, (cpu, events) in enumerate(layout)]
    pages = [
        each._replace(records=[(time * 10 + number, *rest) for time, *rest in each.records])  # type: ignore[misc]
        for number, each in enumerate(pages)
    ]
    ours = sorted(record for each in pages for record in each.records if record[3] in OURS)
    found = newest_rows(pages, most, DECODERS, ProcessTable("/nonexistent"))
    expected = ours[-most:] if most else []
    assert [(row[1], row[0]) for row in found.rows] == [(time, event + 100) for time, _, _, event in expected]
    assert all(row[7] == [row[1] // 10] for row in found.rows)
    assert found.shown == {
        event + 100: count for event in OURS if (count := sum(record[3] == event for record in expected))
    }
