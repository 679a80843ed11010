"""The guard: bursts and slow probes are left alone, floods are sampled within a second, what is over even so stops."""

from __future__ import annotations

import time

import pytest

from explorer.agent import hit_cost, probe_definition
from explorer.agent.budget import DEFAULT, Budget, parse
from explorer.agent.failure import RequestError
from explorer.agent.guard import PERIOD, SLICE, Guard, State
from explorer.agent.throttle import LOOK, Throttle

ONE_SECOND = DEFAULT.share or 0
"""Processor time that the default budget gives for one second."""
HIT_NS = hit_cost.TABLE.ftrace + hit_cost.DECODE_NS


def guard(*probes: int) -> Guard:
    made = Guard()
    for probe in probes:
        made.open(probe, 0.0, hit_cost.TABLE.ftrace)
    return made


def run(guard: Guard, rate: float, *, probe: int = 1, seconds: float = 3.0) -> float | None:
    """Let a probe fire so often; when the guard first wants a change."""
    now = 0.0
    while now < seconds:
        now += LOOK if guard.is_young(now) else PERIOD
        if guard.look(now, {probe: (round(rate * now), round(rate * now))}):
            return now
    return None


def sample(guard: Guard, rate: float, now: float, probe: int = 1) -> None:
    hits = round(rate * SLICE)
    guard.sliced(probe, now, hits, hits, SLICE, SLICE)


def test_a_slow_probe_is_left_alone() -> None:
    assert run(guard(1), 0.9 * ONE_SECOND * 1e9 / HIT_NS, seconds=20) is None


@pytest.mark.parametrize("times", [1.5, 3, 100])
def test_a_flood_is_held_back_within_a_second(times: float) -> None:
    at = run(guard(1), times * ONE_SECOND * 1e9 / HIT_NS)
    assert at is not None
    assert at <= 1.0


def test_a_probe_that_begins_to_flood_later_is_held_back_within_two_looks() -> None:
    made = guard(1)
    for second in range(1, 10):
        assert made.look(float(second), {1: (second, second)}) == {}
    assert made.look(10.0, {1: (200_000, 200_000)}) == {1: State.SAMPLED}


def test_events_in_masses_call_for_a_look_and_few_do_not() -> None:
    made = guard(1)
    events = int(ONE_SECOND * 1e9 / HIT_NS) // 2
    for _ in range(2):
        made.decoded(events, events * hit_cost.DECODE_NS / 1e9)
        assert not made.may_be_overspent()
    made.decoded(events, events * hit_cost.DECODE_NS / 1e9)
    assert made.may_be_overspent()
    made.look(0.1, {1: (events, events)})
    assert not made.may_be_overspent()


def test_a_burst_within_a_second_s_worth_is_nobody_s_concern() -> None:
    made = guard(1)
    burst = round(0.8 * ONE_SECOND * 1e9 / HIT_NS)
    assert made.look(0.1, {1: (burst, burst)}) == {}
    for second in range(1, 5):
        assert made.look(float(second), {1: (burst + second, burst + second)}) == {}


def test_what_is_over_the_budget_even_in_slices_stops_and_the_slow_one_beside_it_goes_on() -> None:
    made = guard(1, 2)
    counts = {1: (100_000, 100_000), 2: (3, 3)}
    assert made.look(0.1, counts) == {1: State.SAMPLED}
    made.changed(1, State.SAMPLED, 0.1, counts[1])
    assert made.look(0.2, counts) == {}, "a single short look proves nothing"
    for second in (1, 2):
        sample(made, 1_000_000, second)
    assert made.look(2.0, counts) == {1: State.STOPPED}
    made.changed(1, State.STOPPED, 2.0, counts[1])
    report = made.news(2.0)[1]
    assert report["state"] == "stopped"
    assert report["rate"] == pytest.approx(1_000_000)
    assert report["cost"] == pytest.approx(1_000_000 * HIT_NS / 1e9)
    assert made.look(3.0, counts) == {}
    assert made.of(State.RUNNING) == [2]


def test_a_new_budget_gives_another_chance_to_what_was_stopped_for_the_old_one() -> None:
    made = guard(1, 2)
    counts = {1: (100_000, 100_000), 2: (3, 3)}
    made.changed(1, State.STOPPED, 1.0, counts[1])
    made.changed(2, State.STOPPED, 1.0, counts[2], "Device or resource busy")
    made.reconsider(Budget(None, None))
    assert (made.of(State.SAMPLED), made.of(State.STOPPED)) == ([1], [2])
    for second in (2, 3, 4):
        sample(made, 1_000_000, second)
    assert made.look(4.0, counts) == {1: State.RUNNING}
    made.changed(1, State.STOPPED, 5.0, counts[1])
    made.reconsider(Budget(1000, None))
    for second in (6, 7):
        assert made.look(float(second), counts) == {}
        sample(made, 1_000_000, second)
    assert made.look(8.0, counts) == {1: State.STOPPED}, "it is over this one, too"


def test_a_sampled_probe_that_calms_down_runs_again() -> None:
    made = guard(1)
    made.look(0.1, {1: (50_000, 50_000)})
    made.changed(1, State.SAMPLED, 0.1, (50_000, 50_000))
    for second in (1, 2):
        sample(made, 100, second)
        assert made.look(float(second), {1: (50_000, 50_000)}) == {}
    sample(made, 100, 3)
    assert made.look(3.0, {1: (50_000, 50_000)}) == {1: State.RUNNING}
    made.changed(1, State.RUNNING, 3.0, (50_000, 50_000))
    assert made.look(4.0, {1: (50_100, 50_100)}) == {}, "what it did before is not counted twice"


def test_what_a_sampled_probe_did_unseen_is_estimated() -> None:
    made = guard(1)
    made.changed(1, State.SAMPLED, 0.0, (0, 0))
    sample(made, 10_000, 1.0)
    report = made.news(1.0)[1]
    assert report["unseen"] == pytest.approx(10_000 * (1.0 - SLICE))
    assert report["enabled"] == pytest.approx(SLICE)


def test_slices_of_many_probes_take_turns_and_leave_most_of_the_time() -> None:
    probes = range(1, 21)
    made = guard(*probes)
    for probe in probes:
        made.changed(probe, State.SAMPLED, 0.0, (0, 0))
    taken: list[int] = []
    now = 0.0
    while now < 5:
        now += 0.01
        due = made.due(now)
        if due is not None:
            taken.append(due)
            sample(made, 10, now, due)
    assert set(taken) == set(probes)
    assert len(taken) * SLICE <= 0.5 * now


def test_a_rate_of_the_user_s_own_holds_for_each_and_lifts_the_rest() -> None:
    made = guard(1, 2)
    made.budget = Budget(100.0, None)
    assert made.look(1.0, {1: (99, 99), 2: (101, 101)}) == {2: State.SAMPLED}
    made.budget = Budget(None, None)
    assert made.look(1.1, {1: (10**9, 10**9), 2: (10**9, 10**9)}) == {}


def test_the_cost_is_told_half_a_second_after_arming_and_then_once_a_second() -> None:
    made = guard(1)
    told = []
    for tenth in range(1, 31):
        made.look(tenth / 10, {1: (tenth**2, tenth**2)})
        told += [(tenth / 10, news["rate"], news["cost"]) for news in made.news(tenth / 10).values()]
    assert [moment for moment, _, _ in told] == [0.5, 1.5, 2.5]
    moment, rate, cost = told[0]
    assert rate == pytest.approx(25 / moment)
    assert cost == pytest.approx(rate * HIT_NS / 1e9)


def test_the_agent_s_own_time_is_measured_in_floods_only() -> None:
    made = guard(1)
    made.decoded(10, 1.0)
    made.look(1.0, {1: (1000, 1000)})
    assert made.news(1.0)[1]["cost"] == pytest.approx(1000 * HIT_NS / 1e9)
    for _ in range(100):
        made.decoded(1000, 0.01)
    made.look(2.0, {1: (2000, 2000)})
    assert made.news(2.0)[1]["cost"] == pytest.approx(1000 * (hit_cost.TABLE.ftrace + 10_000) / 1e9, rel=0.01)


@pytest.mark.parametrize(
    "bad", [{"rate": 0}, {"rate": -1}, {"rate": "9"}, {"rate": True}, {"share": 1.5}, {"share": []}]
)
def test_a_budget_that_is_none_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(RequestError, match="null or a number"):
        parse({"op": "budget", **bad})


KPROBES = """\
ffffffff81300004  k  vfs_read+0x4    [FTRACE]
ffffffff81300004  r  vfs_read+0x4    [FTRACE]
ffffffff81400000  k  no_site+0x0    [OPTIMIZED]
ffffffff81300020  k  vfs_read+0x20
"""


@pytest.mark.parametrize(
    ("members", "nanoseconds"),
    [
        ({"symbol": "vfs_read", "kind": "entry"}, hit_cost.TABLE.ftrace),
        ({"symbol": "vfs_read", "kind": "return"}, hit_cost.TABLE.ftrace + hit_cost.TABLE.returned),
        ({"symbol": "no_site", "kind": "entry"}, hit_cost.TABLE.jump),
        ({"symbol": "vfs_read", "offset": 0x20, "kind": "entry"}, hit_cost.TABLE.breakpoint),
        ({"address": 0xFFFFFFFF81300000, "kind": "entry"}, hit_cost.TABLE.ftrace),
        ({"address": 0xFFFFFFFF81300020, "kind": "entry"}, hit_cost.TABLE.breakpoint),
        ({"symbol": "unheard_of", "kind": "entry"}, hit_cost.TABLE.breakpoint),
    ],
)
def test_a_hit_is_priced_by_what_the_kernel_put_there(members: dict[str, object], nanoseconds: int) -> None:
    assert hit_cost.kernel_ns(probe_definition.parse(members, "x86_64"), KPROBES, hit_cost.TABLE) == nanoseconds


class Taken:
    """Probes of which one cannot be enabled again."""

    def __init__(self) -> None:
        self.suspended: list[int] = []

    def counts(self) -> dict[int, tuple[int, int]]:
        return {1: (10_000_000, 10)}

    def suspend(self, probe: int) -> None:
        self.suspended.append(probe)

    def resume(self, probe: int) -> None:
        raise OSError(16, "Device or resource busy")


def test_a_probe_that_cannot_be_enabled_again_is_stopped_with_the_kernel_s_words() -> None:
    made, probes = Guard(), Taken()
    made.open(1, time.monotonic(), hit_cost.TABLE.ftrace)
    throttle = Throttle(made, probes)
    throttle.turn()
    assert (probes.suspended, made.of(State.SAMPLED)) == ([1], [1])
    while made.of(State.SAMPLED):
        time.sleep(max(0.0, throttle.due() - time.monotonic()))  # as the agent's loop does
        throttle.turn()
    assert made.news(1e9)[1]["cause"] == "Device or resource busy"


class Recorded:
    """Probes that note when they are switched."""

    def __init__(self) -> None:
        self.switched: list[tuple[str, int]] = []

    def counts(self) -> dict[int, tuple[int, int]]:
        return {1: (100_000, 100_000), 2: (100_000, 100_000), 3: (0, 0)}

    def suspend(self, probe: int) -> None:
        self.switched.append(("off", probe))

    def resume(self, probe: int) -> None:
        self.switched.append(("on", probe))


def test_the_two_probes_of_a_call_are_held_back_and_sampled_together() -> None:
    made, probes = guard(1, 2, 3), Recorded()
    made.pair(1, 2)
    changes = made.look(0.5, probes.counts())
    assert changes == {1: State.SAMPLED, 2: State.SAMPLED}
    for probe, state in changes.items():
        made.changed(probe, state, 0.0, (0, 0))
    Throttle(made, probes).turn()
    assert probes.switched[:4] == [("on", 2), ("on", 1), ("off", 1), ("off", 2)]
    made.close(1)
    assert made.together(2) == [2]
