"""Kprobes and fprobes: the same results from either, what each is refused for, and which one is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.agent_driver import Agent, Refused, agent
from tests.lab.test_call_counts import CALLED, make_calls

CALLS = 200
FIRST = {"register": "di", "dereference": [], "type": "s32"}
PATH = {"register": "si", "dereference": [], "type": "u64"}
RESULT = {"return": True, "dereference": [], "type": "s64"}
IN_AX = {"register": "ax", "dereference": [], "type": "s32"}


@pytest.fixture
def running() -> Iterator[Agent]:
    with agent() as started:
        if not started.hello["features"]["fprobe"]:
            pytest.skip("this kernel has no fprobe events (they came with 6.5)")
        started.ask("budget", rate=None, share=None)
        started.credit(10_000)
        yield started


def arm(running: Agent, mechanism: str, kind: str, values: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    """The agent's answer."""
    probe = {"symbol": CALLED, "kind": kind, "values": values, "mechanism": mechanism}
    return running.ask("arm", probe=probe, **members)


@pytest.mark.parametrize(("kind", "values"), [("entry", [FIRST, PATH]), ("return", [RESULT, IN_AX])])
def test_either_gives_the_same_events_and_counts(running: Agent, kind: str, values: list[dict[str, Any]]) -> None:
    """Side by side on the same calls, and one behind the filter of the other's values."""
    numbers = {name: arm(running, name, kind, values)["probe"] for name in ("kprobe", "fprobe")}
    make_calls(CALLS)
    finals = {name: running.disarm(number) for name, number in numbers.items()}
    assert finals["kprobe"] == finals["fprobe"]
    assert finals["kprobe"][0] == CALLS
    rows = {
        name: [[row[5], *row[7]] for row in running.rows_of(number) if row[5].startswith("python")]
        for name, number in numbers.items()
    }
    assert rows["kprobe"] == rows["fprobe"]
    assert len(rows["kprobe"]) == CALLS
    assert running.quit() == []


def test_hits_that_a_filter_rejects_are_counted(running: Agent) -> None:
    nobody = {"kernel": [["==", ["tid"], 4_000_000]], "agent": []}
    numbers = [arm(running, name, "return", [RESULT], filter=nobody)["probe"] for name in ("kprobe", "fprobe")]
    make_calls(CALLS)
    for number in numbers:
        hits, _, lost, filtered, not_shown = running.disarm(number)
        assert (hits, lost, filtered, not_shown) == (CALLS, 0, CALLS, 0)


def test_an_fprobe_is_armed_again_with_counts_of_its_own(running: Agent) -> None:
    for calls in (30, 20):
        number = arm(running, "fprobe", "return", [RESULT])["probe"]
        make_calls(calls)
        assert running.disarm(number)[0] == calls


@pytest.mark.parametrize(
    ("probe", "cause"),
    [
        ({"symbol": CALLED, "kind": "entry", "registers": True}, "records no registers"),
        ({"symbol": CALLED, "kind": "entry", "offset": 4}, "by its name only"),
        ({"symbol": CALLED, "kind": "entry", "values": [{**FIRST, "register": "r15"}]}, "cannot read %r15"),
        ({"symbol": "type_show", "kind": "entry"}, "an fprobe would mean all of them"),
    ],
)
def test_what_an_fprobe_cannot_do_is_refused_with_the_cause(running: Agent, probe: dict[str, Any], cause: str) -> None:
    with pytest.raises(Refused, match=cause):
        running.ask("arm", probe={**probe, "mechanism": "fprobe"})


def test_the_choice_loses_nothing_and_says_why(every_kernel: str) -> None:
    """An fprobe only for returns, and only where the kernel cannot miss them unseen; else a kprobe."""
    with open("/proc/kallsyms") as listing:
        shadow_stack = any(line.split()[2] == "fprobe_return" for line in listing)
    with agent() as started:
        returns = arm(started, "auto", "return", [RESULT])
        assert returns["mechanism"] == ("fprobe" if shadow_stack else "kprobe")
        entry = arm(started, "auto", "entry", [FIRST])
        assert entry["mechanism"] == "kprobe"
        if started.hello["features"]["fprobe"]:
            assert ("no pool" if shadow_stack else "miss returns without counting") in returns["cause"]
            assert "counts its hits" in entry["cause"]
        else:
            assert returns["cause"] == entry["cause"] == "this kernel has no fprobe events"
            with pytest.raises(Refused, match="this kernel has no fprobe events"):
                arm(started, "fprobe", "return", [RESULT])
