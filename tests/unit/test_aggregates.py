"""What the kernel counted, as rows: counts and sums exact, percentiles by steps."""

from __future__ import annotations

from explorer.session.aggregates import Aggregate, Wanted
from explorer.session.latencies import Latencies


def step(number: int) -> int:
    """Of which a histogram of one number has only that."""
    latencies = Latencies()
    latencies.add(number)
    [found] = latencies._steps
    return found


def aggregate(*cells: list[object], of: str = "count", unpaired: int = 0) -> Aggregate:
    made = Aggregate(Wanted("comm", of))
    made.take({"op": "cells", "probe": 1, "cells": list(cells), "unpaired": unpaired})
    return made


def test_totals_replace_what_was_told_before() -> None:
    made = aggregate(["cat", 5, 3, 15], ["sh", 1, 1, 1], unpaired=2)
    made.take({"op": "cells", "probe": 1, "cells": [["cat", 5, 4, 20], ["cat", 9, 1, 9]], "unpaired": 3})
    cat, sh = made.rows()
    assert (cat.key, cat.count, cat.total, cat.mean) == ("cat", 5, 29, 5.8)
    assert (sh.key, sh.count) == ("sh", 1)
    assert made.unpaired == 3


def test_percentiles_and_powers_of_two() -> None:
    cells = [["x", step(number), 1, number] for number in range(0, 127)]
    [row] = aggregate(*cells).rows()
    assert (row.percentile(0.5), row.percentile(0.95)) == (63, 120)
    assert row.histogram() == [
        (0, 1, 1), (1, 2, 1), (2, 4, 2), (4, 8, 4), (8, 16, 8), (16, 32, 16), (32, 64, 32), (64, 128, 63),
    ]  # fmt: skip
    large = 123_456_789
    [row] = aggregate([None, step(large), 10, 10 * large]).rows()
    found = row.percentile(0.5)
    assert found is not None
    assert abs(found - large) < large / 100
    assert row.mean == large


def test_negative_numbers_come_before_positive_ones_and_gaps_are_shown() -> None:
    [row] = aggregate(["x", -2, 4, -8], ["x", -13, 1, -13], ["x", 1, 1, 1]).rows()
    assert row.histogram() == [(-15, -7, 1), (-7, -3, 0), (-3, -1, 4), (-1, 0, 0), (0, 1, 0), (1, 2, 1)]
    assert row.percentile(0.1) == -13
    assert row.to_json()["sum"] == -20


def test_what_could_not_be_read_is_counted_beside() -> None:
    [row] = aggregate(["x", None, 3, 0], ["x", 7, 1, 7]).rows()
    assert (row.count, row.unread, row.mean, row.percentile(0.99)) == (4, 3, 7.0, 7)


def test_hits_alone_have_no_sizes() -> None:
    [row] = aggregate([3, 0, 12, 0], of="").rows()
    assert row.to_json() == {"key": 3, "count": 12}
