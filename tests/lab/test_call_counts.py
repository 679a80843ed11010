"""Counting by ftrace's function tracer: exact counts of hundreds of functions, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from tests.agent_driver import Agent, Refused, agent
from tests.lab.tracing_state import TRACEFS

CALLED = "do_mkdirat"
"""What nobody calls in the lab unless a test does; ``mkdir`` does once."""
CALLS = """
import os, sys
for _ in range(int(sys.argv[1])):
    try:
        os.mkdir("/")
    except OSError:
        pass
"""
UNLIMITED: dict[str, Any] = {"rate": None, "share": None}


def make_calls(count: int) -> None:
    """Call ``CALLED`` so many times."""
    subprocess.run([sys.executable, "-I", "-S", "-c", CALLS, str(count)], check=True)


def functions(beginning: str) -> list[list[str]]:
    """Those of the kernel itself that ftrace can follow and whose names begin so, each once."""
    names = (TRACEFS / "available_filter_functions").read_text().splitlines()
    return [[name, ""] for name in dict.fromkeys(names) if name.startswith(beginning) and "[" not in name]


def calls_by_name(calls: dict[str, int]) -> Counter[str]:
    """By the symbol that each address lies in; call sites lie at most some bytes behind the symbol."""
    symbols = {}
    with open("/proc/kallsyms") as listing:
        for line in listing:
            address, kind, name, *_ = line.split()
            if kind in "tT" and not name.startswith("__pfx_"):
                symbols[int(address, 16)] = name
    found: Counter[str] = Counter()
    for address, count in calls.items():
        near = next(int(address) - back for back in range(32) if int(address) - back in symbols)
        found[symbols[near]] += count
    return found


def count(running: Agent, wanted: list[list[str]], budget: dict[str, Any] = UNLIMITED) -> dict[str, Any]:
    return running.ask("count", functions=wanted, **budget)


def test_counts_of_hundreds_of_functions_are_exact(every_kernel: str) -> None:
    """Held against the number of calls that were made, and against the kernel's own count of a probe beside."""
    wanted = [*functions("ext4_")[:400], *functions("vfs_"), [CALLED, ""]]
    assert len(wanted) > 300
    with agent() as running:
        running.ask("budget", rate=None, share=None)
        probe = running.arm("vfs_write")
        started = count(running, wanted)
        assert started["absent"] == []
        assert started["places"] >= len(wanted)
        make_calls(700)
        ended = running.ask("uncount")
        counters = running.disarm(probe)
        assert running.quit() == []
    totals = {**running.calls, **ended["calls"]}
    assert ended["lost"] == 0
    by_name = calls_by_name(totals)
    assert by_name[CALLED] == 700
    assert set(by_name) <= {name for name, _ in wanted}
    assert by_name["vfs_write"] <= counters[0], "the probe was armed before and disarmed after"
    assert by_name["vfs_open"] > 0


def test_the_hottest_function_is_dropped_to_keep_the_budget() -> None:
    with agent() as running:
        count(running, [[CALLED, ""], ["do_renameat2", ""]], {"rate": 100, "share": None})
        with subprocess.Popen([sys.executable, "-I", "-S", "-c", CALLS, "100000000"]) as caller:
            running.wait(lambda: bool(running.dropped))
            followed = (TRACEFS / "enabled_functions").read_text()
            caller.kill()
        assert CALLED not in followed
        assert "do_renameat2" in followed, "the others are followed on"
        ended = running.ask("uncount")
        assert set(calls_by_name(dict.fromkeys(ended["dropped"], 1))) == {CALLED}


def test_what_cannot_be_counted_is_told() -> None:
    with agent() as running:
        started = count(running, [[CALLED, ""], ["no_such_function", ""], [CALLED, "nomodule"]])
        assert started["absent"] == [["no_such_function", ""], [CALLED, "nomodule"]]
        with pytest.raises(Refused, match="one count at a time"):
            count(running, [[CALLED, ""]])
        running.ask("uncount")
        with pytest.raises(Refused, match="none of these functions"):
            count(running, [["no_such_function", ""]])
        for nonsense in ([], [CALLED], [["do_mkdirat\n*", ""]], [["*", ""]], [[CALLED, "a b"]], None):
            with pytest.raises(Refused):
                running.ask("count", functions=nonsense, **UNLIMITED)
        with pytest.raises(Refused, match="nothing is being counted"):
            running.ask("uncount")


def test_a_count_whose_agent_was_killed_is_found_and_removed() -> None:
    with agent() as running:
        count(running, [[CALLED, ""]])
        running.kill_with_survivors()
    left = [name for name in os.listdir(TRACEFS / "instances") if name.startswith(f"kexplore_{running.process.pid}_")]
    assert len(left) == 1
    assert CALLED in (TRACEFS / "enabled_functions").read_text()
    with agent() as other:
        assert other.hello["leftovers"] != []
        cleaned = other.ask("clean")
        assert cleaned["failed"] == []
        assert cleaned["removed"] == other.hello["leftovers"]


def test_the_command_counts_patterns_and_what_ftrace_cannot() -> None:
    """Until it is interrupted, as its output is only written then; what a dead session left goes first."""
    with agent() as dead:
        dead.arm(CALLED)
        dead.kill_with_survivors()
    query = "do_mkdir* -is:variant"
    command = [sys.executable, "-m", "explorer.cli", "count", query, f"{CALLED}%return"]
    command += ["--max-rate", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        said = ""
        while "counting" not in said:
            said += running.stderr.readline()
        make_calls(50)
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate()
    *rows, last = map(json.loads, output.splitlines())
    counted = {row["function"]: (row["calls"], row["by"], row["exact"]) for row in rows}
    assert counted[CALLED] == (50, "ftrace", True)
    calls, by, exact = counted[f"{CALLED}%return"]
    assert (by, exact) == ("kprobe", True)
    assert 50 <= calls < 60, "it counts from a little earlier: kexplore makes a directory itself"
    assert last["summary"]["lost"] == 0
    assert running.returncode == 130
    assert f"removed what a dead session had left armed: kexplore_{dead.process.pid}_" in said
    assert f"{CALLED}%return: counted by a kprobe" in said
