"""The rows of one batch: as many of the newest records as may be sent, decoded by probe, in the order of time."""

from __future__ import annotations

import heapq
import operator
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from explorer.agent.buffers import Kept
from explorer.agent.event_format import HitDecoder
from explorer.agent.ring_buffer import Record
from explorer.agent.row_code import Row

_TIME_OF_RECORD = operator.itemgetter(0)
_EVENT_OF_RECORD = operator.itemgetter(3)
_TIME_OF_ROW = operator.itemgetter(1)


class Rows(NamedTuple):
    """Rows in the order of time, how many of them are each probe's, and the time of the newest record left out or 0."""

    rows: List[Row]
    shown: Dict[int, int]
    skipped: int


def newest_rows(
    pages: Iterable[Kept],
    most: int,
    decoders: Mapping[int, Tuple[int, HitDecoder]],
    processes: Mapping[int, Optional[int]],
) -> Rows:
    """Decode the newest records.

    Args:
        pages: With the records.
        most: Rows at most.
        decoders: The probes' numbers and decoders by the ids of their events; other events make no rows.
        processes: The process of each thread.

    Raises:
        RingBufferError: A record is not what its event's format says.
    """
    chosen, skipped = _newest([_known(kept, decoders) for kept in pages], most)
    found = Rows([], {}, skipped)
    for page, records, cpu in chosen:
        for identity, same in _by_event(records):
            probe, decoder = decoders[identity]
            decoder.rows(page, same, cpu, probe, processes, found.rows.append)
            found.shown[probe] = found.shown.get(probe, 0) + len(same)
    found.rows.sort(key=_TIME_OF_ROW)
    return found


def _known(kept: Kept, decoders: Mapping[int, Tuple[int, HitDecoder]]) -> Kept:
    if decoders.keys() >= set(map(_EVENT_OF_RECORD, kept.records)):
        return kept
    return kept._replace(records=[record for record in kept.records if record[3] in decoders])


def _newest(pages: List[Kept], most: int) -> Tuple[List[Kept], int]:
    """The newest records, so many at most; where several are equally old, some of them. The time of the next, or 0."""
    if sum(len(kept.records) for kept in pages) <= most:
        return pages, 0
    times = heapq.nlargest(most + 1, (record[0] for kept in pages for record in kept.records))
    oldest = times[most - 1] if most else times[0]
    left = most
    chosen = []
    for kept in pages:
        records = [record for record in kept.records if record[0] >= oldest][-left:] if left else []
        chosen.append(kept._replace(records=records))
        left -= len(records)
    return chosen, times[most]


def _by_event(records: List[Record]) -> Iterable[Tuple[int, List[Record]]]:
    groups: Dict[int, List[Record]] = {}
    if len(set(map(_EVENT_OF_RECORD, records))) == 1:  # as in a flood
        return [(records[0][3], records)]
    for record in records:
        groups.setdefault(record[3], []).append(record)
    return groups.items()
