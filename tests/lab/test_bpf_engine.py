"""What the bpf engine has of its own: both engines agree, stacks are real, and nothing can outlive the agent."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from explorer.agent import bpf_layout
from explorer.agent.protocol import unpack_registers
from tests.agent_driver import SYSTEM_PYTHON, Agent, agent
from tests.lab.test_agent_counts import FLOOD, GETPGID
from tests.lab.test_agent_probes import OPEN, OPEN_VALUES, RETURN_VALUE, cat
from tests.lab.tracing_state import tracing_state, wait_for_state, wait_until

PROGRAM = "probe"


@pytest.fixture(scope="module")
def agent_of_both(agent_of_bpf: Agent) -> Agent:
    """Some tests use tracefs as well: its instance, which stays to the end, is there before any of them compares."""
    before = tracing_state()["dynamic_events"]
    agent_of_bpf.disarm(agent_of_bpf.arm("do_nanosleep", engine="tracefs"))
    agent_of_bpf.start_afresh()
    wait_until(lambda: tracing_state()["dynamic_events"] == before, "the end of the definition")
    return agent_of_bpf


@pytest.fixture
def bpf(agent_of_both: Agent) -> Iterator[Agent]:
    yield agent_of_both
    agent_of_both.start_afresh()


def programs() -> list[str]:
    """The bpf programs that the kernel holds, by name."""
    listed = subprocess.run(
        ["bpftool", "--json", "prog", "show"],
        capture_output=True,
        check=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    return [each.get("name", "") for each in json.loads(listed.stdout)]


def descriptors(started: Agent) -> int:
    return len(os.listdir(f"/proc/{started.process.pid}/fd"))


def test_both_engines_see_the_same_calls(bpf: Agent) -> None:
    """The same function probed by both at once: names, values, order and counts."""
    probes: dict[str, tuple[int, int]] = {}
    for engine in ("bpf", "tracefs"):
        entry, returned = (
            bpf.ask("arm", probe={"symbol": OPEN, "kind": kind, "values": values, "engine": engine})["probe"]
            for kind, values in (("entry", OPEN_VALUES), ("return", RETURN_VALUE))
        )
        probes[engine] = entry, returned
    pid = cat("/etc/passwd", "/nonexistent", "/etc/hostname")
    counts = {number: bpf.disarm(number) for pair in reversed(probes.values()) for number in pair}
    seen: dict[str, list[list[Any]]] = {}
    for engine, pair in probes.items():
        for number in pair:
            hits, _, lost, filtered, not_shown = counts[number]
            assert hits == len(bpf.rows_of(number)) + lost + filtered + not_shown
        rows = [[pair.index(row[0]), *row[3:8]] for row in bpf.rows if row[0] in pair and row[4] == pid]
        seen[engine] = rows
    assert seen["bpf"] == seen["tracefs"]
    assert {row[5][1] for row in seen["bpf"] if row[0] == 0} >= {"/etc/passwd", "/nonexistent", "/etc/hostname"}


def test_the_stacks_of_a_hit_lead_back_to_the_system_call(bpf: Agent) -> None:
    probe = bpf.arm(OPEN, stacks=["kernel", "user"])
    pid = cat("/etc/passwd")
    bpf.disarm(probe)
    symbols = sorted(
        (int(address, 16), name)
        for address, _, name, *_ in map(str.split, Path("/proc/kallsyms").read_text().splitlines())
    )

    def name(address: int) -> str:
        return next(name for start, name in reversed(symbols) if start <= address)

    mine = [row for row in bpf.rows_of(probe) if row[4] == pid]
    assert mine
    for row in mine:
        kernel, user = row[9]
        assert name(kernel[0]) == OPEN
        assert "do_syscall_64" in {name(address) for address in kernel}
        assert all(0 < address < 1 << 47 for address in user[:1])


def test_a_flood_that_overflows_the_buffer_is_counted_to_the_last_hit() -> None:
    with agent(engine="bpf") as started:
        started.ask("budget", rate=None, share=None)
        probe = started.arm(GETPGID, registers=True, values=[{"register": "ax", "type": "u64"}])
        os.kill(started.process.pid, signal.SIGSTOP)  # nobody empties the buffer
        calls = 20_000
        processes = [subprocess.Popen([SYSTEM_PYTHON, "-I", "-S", "-c", FLOOD, str(calls)]) for _ in range(2)]
        for process in processes:
            process.wait()
        os.kill(started.process.pid, signal.SIGCONT)
        hits, missed, lost, filtered, not_shown = started.disarm(probe)
        assert (hits, missed, filtered) == (2 * calls, 0, 0)
        assert lost > 0
        assert hits == lost + not_shown + len(started.rows)
        assert started.lost == lost
        assert started.quit() == []


def test_a_filter_that_tracefs_cannot_decide_takes_bpf_once_that_has_proved_itself(bpf: Agent) -> None:
    """Event filters know ``&`` only as a test for any bit."""
    odd = ["==", ["&", ["value", 0], 1], 1]
    asked: dict[str, Any] = {
        "symbol": GETPGID, "kind": "entry", "values": [{"register": "di", "dereference": [0x70], "type": "s32"}],
        "engine": "auto",
    }  # fmt: skip
    with agent() as fresh:
        unproved = fresh.ask("arm", probe=asked, filter={"kernel": [], "agent": [odd]})
        assert unproved["engine"] == "tracefs", "there at once: nobody waits for the compiler"
        fresh.disarm(unproved["probe"])
        assert fresh.quit() == []
    bpf.disarm(bpf.arm(GETPGID))  # it has proved itself by now
    armed = bpf.ask("arm", probe=asked, filter={"kernel": [], "agent": [odd]})
    assert (armed["engine"], armed["cause"]) == ("bpf", "it decides in the kernel what tracefs cannot")
    plain = bpf.ask("arm", probe=asked, filter={"kernel": [["==", ["value", 0], 1]], "agent": []})
    assert plain["engine"] == "tracefs", "what both can do is left where it is at once"
    for number in (0, 1, 2, 3):
        with contextlib.suppress(ProcessLookupError):
            os.getpgid(number)
    hits, _, _, filtered, _ = bpf.disarm(armed["probe"])
    assert hits - filtered == len(bpf.rows_of(armed["probe"])) >= 2
    assert {row[7][0] for row in bpf.rows_of(armed["probe"])} == {1, 3}
    bpf.disarm(plain["probe"])


def test_hits_inside_of_other_bpf_programs_are_told() -> None:
    with agent(engine="bpf") as started:
        probe = started.arm("htab_map_update_elem")
        with subprocess.Popen(["sleep", "60"]) as process:
            try:
                started.ask("focus", pids=[process.pid])  # is written into a map, in which no program runs
            finally:
                process.kill()
        assert started.disarm(probe)[0] == 0
        if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 7):
            assert ["hits of bpf probes were not counted" in told["message"] for told in started.problems] == [True]
        assert started.quit() == []


def test_a_hundred_probes_are_switched_by_one_program_and_leave_no_descriptor(bpf: Agent) -> None:
    first = bpf.arm(OPEN)
    names = programs().count(PROGRAM)
    before = descriptors(bpf)
    for _ in range(100):
        bpf.disarm(bpf.arm(GETPGID))
    assert descriptors(bpf) == before
    assert programs().count(PROGRAM) == names == 1
    bpf.disarm(first)


@pytest.mark.parametrize("victim", ["agent", "compiler"])
def test_killed_at_any_time_nothing_is_left(victim: str) -> None:
    before, known = tracing_state(), programs()
    with agent(engine="bpf") as started:
        number = started.send("arm", probe={"symbol": OPEN, "kind": "entry", "engine": "bpf"})
        if victim == "agent":
            assert started.answer(number)[0]["engine"] == "bpf"
            assert PROGRAM in programs()
        started.kill_with_survivors()
    wait_for_state(before)
    assert programs() == known


def test_calls_are_counted_by_what_they_are_in_the_kernel(bpf: Agent) -> None:
    """By the name of the thread, and by an argument; a number that cannot be read is told apart."""
    asked = {"register": "di", "dereference": [0x70], "type": "s32"}
    unread = {"register": "di", "dereference": [0x70, 0], "type": "u64"}
    by_name = bpf.arm(GETPGID, aggregate={"by": "comm", "of": None})
    by_argument = bpf.arm(GETPGID, values=[asked, unread], aggregate={"by": ["value", 0], "of": ["value", 1]})
    sizes = bpf.arm(GETPGID, values=[asked], aggregate={"by": None, "of": ["value", 0]})
    script = "import os\nfor n in (5, 5, 5, 70000, -3):\n    try: os.getpgid(n)\n    except OSError: pass"
    subprocess.run([SYSTEM_PYTHON, "-I", "-S", "-c", script], check=True)
    counters = [bpf.disarm(probe) for probe in (by_name, by_argument, sizes)]
    assert counters == [[5, 0, 0, 0, 5]] * 3
    assert bpf.rows == []
    assert bpf.cells[by_name] == {("python3", 0): (5, 0)}
    assert bpf.cells[by_argument] == {(5, None): (3, 0), (70000, None): (1, 0), (-3, None): (1, 0)}
    step = (10 << 6) + (70000 >> 10)  # of the 17 bits that 70,000 has, the first 7 tell its step
    assert bpf.cells[sizes] == {
        (None, 5): (3, 15), (None, step): (1, 70000), (None, -3): (1, -3),
    }  # fmt: skip


def test_the_time_of_calls_is_measured_in_the_kernel_and_the_budget_sees_their_rate(bpf: Agent) -> None:
    place = {"symbol": "do_nanosleep", "engine": "bpf"}
    answer = bpf.ask(
        "arm_many",
        probes=[
            {"probe": {**place, "kind": "entry", "aggregate": {"role": "begins", "by": "pid"}}},
            {"probe": {**place, "kind": "return", "aggregate": {"role": "ends", "of": "latency"}}, "pair": True},
        ],
    )
    entry, returned = (result["probe"] for result in answer["results"])
    sleeper = subprocess.Popen(["sleep", "0.2"])
    sleeper.wait()
    bpf.disarm(returned)
    bpf.disarm(entry)
    mine = {step: cell for (key, step), cell in bpf.cells[returned].items() if key == sleeper.pid}
    [(count, total)] = mine.values()
    assert count == 1
    assert 200_000_000 <= total < 5_000_000_000


@pytest.mark.parametrize("aggregate", [None, {"by": "pid", "of": None}], ids=["rows", "cells"])
def test_a_flood_is_held_back_and_what_is_counted_stays_exact(bpf: Agent, aggregate: dict[str, Any] | None) -> None:
    bpf.ask("budget", rate=1500, share=None)
    probe = bpf.arm(GETPGID, values=[{"register": "ax", "type": "u64"}], aggregate=aggregate)
    with subprocess.Popen([SYSTEM_PYTHON, "-I", "-S", "-c", "import os\nwhile True: os.getpgid(0)"]) as flood:
        try:
            bpf.wait(lambda: bpf.guard.get(probe, {}).get("state") in ("sampled", "stopped"))
        finally:
            flood.kill()
    hits, missed, lost, filtered, not_shown = bpf.disarm(probe)
    assert (missed, filtered) == (0, 0)
    assert hits == len(bpf.rows_of(probe)) + not_shown + lost > 0
    buffer = bpf_layout.RING_SIZE // (8 + bpf_layout.HEAD.size + 8)
    assert lost == 0 or hits - lost >= buffer - 1, "nothing is lost before the buffer is full"
    if aggregate is not None:
        assert lost == 0, "what is counted in the kernel needs no buffer, which a fast flood can fill"
        assert bpf.cells[probe] == {(flood.pid, 0): (hits, 0)}


def test_places_inside_a_function_do_not_collide(bpf: Agent) -> None:
    """Two of one function, and one whose name has a dot: each has its own hits, with the registers of its place."""
    command = [sys.executable, "-m", "explorer.cli", "disassemble", "--json", GETPGID]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    places = {line["offset"]: line["address"] for line in map(json.loads, listed) if line["can_probe"]}
    first, second = [offset for offset in places if offset > 9][:2]  # behind what belongs to the entry
    probes = {offset: bpf.arm(GETPGID, offset=offset, registers=True) for offset in (first, second)}
    traced = Path("/sys/kernel/tracing/available_filter_functions").read_text().split()
    dotted = next(name for name in traced if ".constprop." in name)
    other = bpf.arm(dotted)
    for _ in range(3):
        os.getpgid(0)
    at = bpf.hello["registers"].index("ip")
    for offset, probe in probes.items():
        assert bpf.disarm(probe)[0] == 3
        assert {unpack_registers(row[8])[at] for row in bpf.rows_of(probe)} == {places[offset] + 1}  # behind the int3
    bpf.disarm(other)
