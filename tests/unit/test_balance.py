"""The alarm: a missed return raises it, and so does a difference that lasts; nothing else does."""

from __future__ import annotations

import pytest

from explorer.session.balance import Balances, larger
from explorer.session.guard import Guarded, State
from explorer.session.probe import Counters, Probe, ProbeState
from explorer.session.probe_spec import ProbeKind, ProbeSpec


def probe(kind: ProbeKind, symbol: str = "vfs_read") -> Probe:
    return Probe(ProbeSpec(symbol, kind=kind), None, (), state=ProbeState.ARMED)


class Function:
    """An entry and a return probe, armed at 0 s."""

    def __init__(self) -> None:
        self.entry, self.returns = probe(ProbeKind.ENTRY), probe(ProbeKind.RETURN)
        self.balances = Balances()
        self.balances.cpus = 2
        for each in (self.entry, self.returns):
            self.balances.armed(each, 0.0)

    def count(self, now: float, entries: int, returns: int, missed: int = 0) -> bool:
        self.entry.counters, self.returns.counters = Counters(entries), Counters(returns, missed)
        return self.balances.look(now)


def test_a_missed_return_is_an_alarm_at_once_and_a_new_one_only_once() -> None:
    function = Function()
    assert not function.count(0.1, 20, 20)
    assert function.count(0.2, 30, 20, missed=10)
    assert not function.count(0.3, 40, 20, missed=20)
    alarm = function.returns.alarm
    assert alarm is not None
    assert alarm.text == ("20 returns missed: more calls were under way at once than the 10 that the kernel follows")
    assert alarm.maxactive == 128


def test_a_return_probe_alone_is_watched_too() -> None:
    balances, alone = Balances(), probe(ProbeKind.RETURN)
    balances.armed(alone, 0.0)
    alone.counters = Counters(1, missed=1)
    assert balances.look(1.0)


def test_a_difference_that_lasts_is_an_alarm() -> None:
    function = Function()
    counted = [(second, 100 * second, 100 * second - (50 if second > 3 else 0)) for second in range(10)]
    alarms = [second for second, entries, returns in counted if function.count(second, entries, returns)]
    assert alarms == [7]
    assert function.returns.alarm is not None
    assert function.returns.alarm.what == "50 more entries than returns"


def test_more_returns_than_entries_is_one_as_well() -> None:
    function = Function()
    for second in range(10):
        function.count(second, 100 * second - (50 if second > 3 else 0), 100 * second)
    assert function.returns.alarm is not None
    assert function.returns.alarm.what == "50 more returns than entries"


@pytest.mark.parametrize("difference", [10, -10])
def test_what_can_be_under_way_is_none(difference: int) -> None:
    function = Function()
    assert not any(
        function.count(second, 1000 * second + (second > 3) * difference, 1000 * second) for second in range(20)
    )


def test_hits_before_the_other_end_was_armed_are_none() -> None:
    function = Function()
    assert not any(function.count(second, 5000 + 100 * second, 100 * second) for second in range(20))


def test_what_a_filter_rejects_is_counted_late_and_that_is_none() -> None:
    function = Function()
    looks = [tenth / 10 for tenth in range(100)]
    assert not any(function.count(now, 1000 * int(now), round(1000 * now)) for now in looks)


def test_a_sampled_probe_is_not_compared() -> None:
    function = Function()
    function.entry.guard = Guarded(State.SAMPLED, 1e6, 1.0, 0.05, 0, "")
    assert not any(function.count(second, 9000 * second, 10 * second) for second in range(20))


def test_probes_of_different_functions_are_not_compared() -> None:
    balances, entry, returns = Balances(), probe(ProbeKind.ENTRY), probe(ProbeKind.RETURN, "vfs_write")
    for each in (entry, returns):
        balances.armed(each, 0.0)
    for second in range(20):
        entry.counters = Counters(1000 * second)
        assert not balances.look(second)


def test_a_disarmed_probe_is_not_watched_any_more() -> None:
    function = Function()
    function.balances.disarmed(function.returns)
    assert not any(function.count(second, 1000 * second, 0, missed=5) for second in range(20))


@pytest.mark.parametrize(
    ("maxactive", "next_one"), [(0, 128), (1, 8), (8, 64), (100, 1024), (1024, 4096), (4096, 4096)]
)
def test_the_number_to_try_next(maxactive: int, next_one: int) -> None:
    assert larger(maxactive, cpus=2) == next_one
