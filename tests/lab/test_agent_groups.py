"""Many probes at once through the agent: all of them count, each refusal is told for itself, nothing is left of any."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from explorer.agent.definitions import GROUP_SIZE
from explorer.agent.protocol import MOST_AT_ONCE
from tests.agent_driver import Agent, Refused, agent
from tests.lab.tracing_state import TRACEFS, tracing_state, wait_for_state

CALLED = "__x64_sys_getpgid"
CALLS = 100


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """At once: agents delete what is theirs before they end, and ``clean`` answers when it is done."""
    before = tracing_state()
    yield
    assert tracing_state() == before


def quiet_functions(count: int) -> list[str]:
    """Functions that nobody calls in the lab."""
    lines = (TRACEFS / "available_filter_functions").read_text().splitlines()
    names = [line for line in lines if line.startswith(("ext4_", "jbd2_", "ipv6_", "ip6_")) and line.isidentifier()]
    assert len(names) >= count
    return names[:count]


def wanted(*names: str) -> list[dict[str, Any]]:
    values = [{"register": "di", "type": "u64"}]
    return [{"probe": {"symbol": name, "kind": "entry", "values": values}} for name in names]


def arm_many(started: Agent, *names: str) -> list[int]:
    """Arm all of them; their numbers."""
    numbers = []
    for begin in range(0, len(names), MOST_AT_ONCE):
        results = started.ask("arm_many", probes=wanted(*names[begin : begin + MOST_AT_ONCE]))["results"]
        numbers += [int(result["probe"]) for result in results]
    return numbers


def call() -> None:
    for _ in range(CALLS):
        os.getpgid(0)


def test_500_probes_count_are_disarmed_and_deleted_after_the_farewell() -> None:
    with agent() as started:
        numbers = arm_many(started, *quiet_functions(499), CALLED)
        assert len((TRACEFS / "kprobe_profile").read_text().splitlines()) == 500
        call()
        counters: dict[str, list[int]] = {}
        for begin in range(0, 500, MOST_AT_ONCE):
            counters |= started.ask("disarm_many", probes=numbers[begin : begin + MOST_AT_ONCE])["counters"]
        assert sum(hits for hits, *_ in counters.values()) == CALLS
        assert counters[str(numbers[-1])][0] == CALLS
        bye = started.ask("quit")
        assert bye["left"] == []
        assert bye["deleting"] > 500 - 10 * GROUP_SIZE, "resting, it may have begun"
        assert "[DISABLED]" in Path("/sys/kernel/debug/kprobes/list").read_text(), "nobody waited for the deletion"
        assert started.end() == 0


def test_each_refusal_is_told_and_keeps_no_other_from_being_armed(either_engine: Agent) -> None:
    probes = wanted(CALLED, "no_such_function", "kprobe_dispatcher", "vfs_read")
    probes[3]["filter"] = {"kernel": [["==", ["value", 7], 1]], "agent": []}
    good, unknown, blacklisted, bad_filter = either_engine.ask("arm_many", probes=probes)["results"]
    assert unknown["code"] == "unknown symbol"
    assert "kprobe blacklist" in blacklisted["message"]
    assert bad_filter["code"] == "bad request"
    call()
    with pytest.raises(Refused, match="no probe 99 is armed"):
        either_engine.ask("disarm_many", probes=[good["probe"], 99])
    [(number, counters)] = either_engine.ask("disarm_many", probes=[good["probe"]])["counters"].items()
    assert (number, counters[0]) == (str(good["probe"]), CALLS)


def test_a_hundred_probes_of_bpf_count_and_leave_nothing_to_delete(agent_of_bpf: Agent) -> None:
    numbers = arm_many(agent_of_bpf, *quiet_functions(99), CALLED)
    call()
    counters: dict[str, list[int]] = {}
    for begin in range(0, len(numbers), MOST_AT_ONCE):
        counters |= agent_of_bpf.ask("disarm_many", probes=numbers[begin : begin + MOST_AT_ONCE])["counters"]
    assert [counters[str(number)][0] for number in numbers] == [0] * 99 + [CALLS]


def test_an_explorer_that_dies_while_it_arms_leaves_nothing() -> None:
    names = quiet_functions(3 * 20)
    before = tracing_state()
    with agent() as started:
        for begin in range(0, len(names), 20):
            started.send("arm_many", probes=wanted(*names[begin : begin + 20]))
        while started.next()[0]["op"] != "armed_many":
            pass
        started.input.close()
        assert started.end() == 0
    wait_for_state(before)


def test_all_groups_of_a_dead_session_are_found_and_removed() -> None:
    with agent() as started:
        arm_many(started, *quiet_functions(GROUP_SIZE + 8))
        lines = (TRACEFS / "dynamic_events").read_text().splitlines()
        groups = {line.partition(":")[2].partition("/")[0] for line in lines}
        assert len(groups) == 2
        started.kill_with_survivors()
    with agent() as another:
        assert another.hello["leftovers"] == [min(groups)]
        assert another.ask("clean")["removed"] == [min(groups)]
