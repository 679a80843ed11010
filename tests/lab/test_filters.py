"""Filters on a real kernel: what passes, who rejected the rest, and that every hit is accounted for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agent_driver import SYSTEM_PYTHON, Agent, Refused
from tests.lab.test_agent_counts import kernel_agrees
from tests.lab.test_trace_command import traced
from tests.lab.tracing_state import TRACEFS, tracing_state

OPEN = "do_sys_openat2"
GETPGID = "__x64_sys_getpgid"
ASKED = {"register": "di", "dereference": [0x70], "type": "s32"}
"""The system call's argument, which lies in the pt_regs that its wrapper is given."""
FILENAME = {"register": "si", "dereference": [0], "type": "string"}

ENDLESS = [SYSTEM_PYTHON, "-I", "-S", "-c", """
import os, signal, time
going, calls = [True], 0
signal.signal(signal.SIGTERM, lambda *_: going.clear())
while going:
    os.getpgid(0)
    calls += 1
    time.sleep(0.002)
print(calls)
"""]  # fmt: skip


@pytest.fixture
def running(either_engine: Agent) -> Agent:
    return either_engine


def arm(started: Agent, wanted: Any = None, symbol: str = GETPGID, **probe: Any) -> tuple[int, str]:
    probe = {"symbol": symbol, "kind": "entry", "values": [{"register": "ax", "type": "u64"}], **probe}
    answer = started.ask("arm", probe=probe, filter=wanted)
    return answer["probe"], answer["event"]


def by_kernel(*conditions: Any) -> dict[str, Any]:
    return {"kernel": list(conditions), "agent": []}


def by_agent(*conditions: Any) -> dict[str, Any]:
    return {"kernel": [], "agent": list(conditions)}


def ask_for(processes: range) -> None:
    for process in processes:
        try:
            os.getpgid(process)
        except ProcessLookupError:
            continue


NUMBERS: list[tuple[Any, range]] = [
    (["<", ["value", 0], 10], range(1, 10)),
    (["==", ["value", 0], 77], range(77, 78)),
    (["!=", ["&", ["value", 0], 64], 0], range(64, 101)),
    (["not", ["or", ["<=", ["value", 0], 20], [">=", ["value", 0], 31]]], range(21, 31)),
]


@pytest.mark.parametrize("part", [by_kernel, by_agent])
def test_numbers(running: Agent, part: Any) -> None:
    running.arm("do_exit")  # while anything is armed, definitions are kept, and the kernel counts on
    counted: Counter[str] = Counter()
    for condition, passes in NUMBERS:
        # Called by nobody else in the lab; other threads of this process would be.
        mine = ["==", ["tid"], threading.get_native_id()]
        probe, event = arm(running, part(mine, condition), values=[ASKED])
        ask_for(range(1, 101))
        hits, missed, lost, filtered, not_shown = running.disarm(probe)
        assert [row[7][0] for row in running.rows_of(probe)] == list(passes)
        assert (hits, missed) == (100, 0), condition
        counted[event] += hits
        assert kernel_agrees(event, counted[event], missed)
        assert (lost, filtered, not_shown) == (0, 100 - len(passes), 0), condition


def open_them(*names: str) -> None:
    for name in names:
        try:
            os.close(os.open(name, os.O_RDONLY))
        except OSError:
            continue


TEXTS: list[tuple[Any, list[str]]] = [
    (["==", ["text", 0], "/etc/hostname"], ["/etc/hostname"]),
    (["~", ["text", 0], "/etc/*"], ["/etc/hostname", "/etc/no such"]),
    (["~", ["text", 0], "*host?a[l-n]e"], ["/etc/hostname"]),
    (["not", ["~", ["text", 0], "/etc*"]], ["/1\"2'3", "/proc/version"]),
    (["!=", ["text", 0], "/proc/version"], ["/1\"2'3", "/etc/hostname", "/etc/no such"]),
]


@pytest.mark.parametrize("part", [by_kernel, by_agent])
def test_texts_of_user_memory(running: Agent, part: Any) -> None:
    running.arm("do_exit")
    counted: Counter[str] = Counter()
    for condition, passes in TEXTS:
        mine = ["==", ["tid"], threading.get_native_id()]
        probe, event = arm(running, part(mine, condition), OPEN, values=[FILENAME])
        open_them("/1\"2'3", "/etc/hostname", "/etc/no such", "/proc/version")
        hits, _, lost, filtered, not_shown = running.disarm(probe)
        assert [row[7][0] for row in running.rows_of(probe)] == passes, condition
        assert hits == len(passes) + lost + filtered + not_shown
        assert (lost, not_shown) == (0, 0)
        counted[event] += hits
        assert kernel_agrees(event, counted[event], 0)


def test_a_read_that_faulted_passes_no_comparison(running: Agent) -> None:
    """What lies in the record of a faulted read is left from an older one: the kernel compares that."""
    read = {"register": "di", "dereference": [0x70, 0], "type": "string"}  # the argument, a small number, as an address
    number = {"register": "di", "dereference": [0x70, 0], "type": "u64"}
    for condition in (["not", ["==", ["text", 0], "x"]], ["==", ["text", 0], ""], [">=", ["value", 1], 0]):
        probe, _ = arm(running, by_kernel(condition), values=[read, number])
        ask_for(range(1, 51))
        hits, _, _, filtered, _ = running.disarm(probe)
        assert hits == filtered == 50
    assert running.rows == []


def test_comm_and_process(running: Agent) -> None:
    renamed = "import os; os.getpgid(0); open('/proc/self/comm', 'w').write('sevenchar'); os.getpgid(0); os.getpgid(0)"
    probe, _ = arm(running, by_kernel(["==", ["comm"], "sevenchar"]))
    subprocess.run([SYSTEM_PYTHON, "-I", "-S", "-c", renamed], check=True)
    os.getpgid(0)
    assert running.disarm(probe)[:4] == [4, 0, 0, 2]
    assert [row[5] for row in running.rows] == ["sevenchar", "sevenchar"]
    # Threads of another process: the kernel cannot tell, the agent can, also when they are gone before it looks.
    script = (
        "import os, threading; t = threading.Thread(target=os.getpgid, args=(0,)); t.start(); t.join(); os.getpid()"
    )
    probe, _ = arm(running)
    other = subprocess.Popen([SYSTEM_PYTHON, "-I", "-S", "-c", "input()\n" + script], stdin=subprocess.PIPE)
    running.ask("filter", probe=probe, filter=by_agent(["==", ["pid"], other.pid]))
    other.communicate(b"\n")
    os.getpgid(0)
    hits, _, _, filtered, not_shown = running.disarm(probe)
    assert (hits, filtered, not_shown) == (2, 1, 0)
    assert running.rows[-1][4] == other.pid != running.rows[-1][3]


def test_a_filter_changed_while_calls_go_on_loses_no_hit_and_shows_nothing_that_fails_it(running: Agent) -> None:
    """All sums hold, against the workload and the kernel's own count."""
    probe, event = arm(running, values=[ASKED, {"register": "di", "type": "u64"}])
    processes = [subprocess.Popen(ENDLESS, stdout=subprocess.PIPE) for _ in range(2)]
    first = processes[0].pid
    filters = [
        (by_kernel(["==", ["tid"], first]), lambda row: row[3] == first),
        (by_agent(["==", ["pid"], first]), lambda row: row[4] == first),
        ({"kernel": [["!=", ["tid"], first]], "agent": [["!=", ["pid"], 1]]}, lambda row: row[3] != first),
        (None, lambda row: True),
        (by_kernel(["==", ["cpu"], 0]), lambda row: row[2] == 0),
    ]
    running.wait(lambda: bool(running.rows))
    passes: Callable[[list[Any]], bool] = lambda row: True  # noqa: E731
    seen = len(running.rows)
    for wanted, following in filters:
        running.ask("filter", probe=probe, filter=wanted)
        assert all(passes(row) for row in running.rows[seen:]), "what comes before the answer has passed the old one"
        passes, seen = following, len(running.rows)
        running.wait(lambda: len(running.rows) > seen + 5)  # noqa: B023 - called here only
    for process in processes:
        process.terminate()
    calls = sum(int(process.communicate()[0]) for process in processes)
    hits, missed, lost, filtered, not_shown = running.disarm(probe)
    assert (hits, missed) == (calls, 0)
    assert kernel_agrees(event, hits, missed)
    assert hits == len(running.rows) + not_shown + lost + filtered
    assert filtered > 0
    assert len(running.rows) > 0


def test_a_refused_filter_leaves_the_old_one_and_a_disarmed_one_leaves_no_trace(running: Agent) -> None:
    probe, _ = arm(running, by_kernel(["==", ["value", 0], 5]), values=[ASKED])
    for refused in ({"kernel": [["==", ["pid"], 3]], "agent": []}, {"kernel": ["x"], "agent": []}, 7):
        with pytest.raises(Refused):
            running.ask("filter", probe=probe, filter=refused)
    with pytest.raises(Refused, match="no probe 99"):
        running.ask("filter", probe=99, filter=None)
    ask_for(range(1, 11))
    assert running.disarm(probe) == [10, 0, 0, 9, 0]
    again, event = arm(running, values=[ASKED])  # the same definition, without a filter
    ask_for(range(1, 11))
    assert running.disarm(again)[3] == 0
    if not event:
        return
    [instance] = [name for name in os.listdir(TRACEFS / "instances") if f"_{running.hello['pid']}_" in name]
    text = Path(TRACEFS / "instances" / instance / "events" / instance / event / "filter").read_text()
    assert text.strip() == f"common_pid != {running.hello['pid']}"


def test_trace_shows_the_missing_file_only() -> None:
    before = tracing_state()
    condition = 'return == -ENOENT && comm == "cat"'
    events, summary, result = traced(
        OPEN, f"{OPEN}%return", "--filter", condition, "--", "cat", "/etc/hostname", "/none/x"
    )
    returns = [event for event in events if event["kind"] == "return"]
    assert {event["values"]["return"]["text"] for event in returns} == {"-ENOENT"}
    assert {event["comm"] for event in events} == {"cat"}
    assert "/etc/hostname" in {event["values"]["filename"]["text"] for event in events if event["kind"] == "entry"}
    for probe, kind in ((OPEN, "entry"), (f"{OPEN}%return", "return")):
        counters = summary[probe]
        assert counters["filtered"] > 0
        assert counters["hits"] - counters["filtered"] == len([e for e in events if e["kind"] == kind])
    assert f"{OPEN}%return: filtered by the kernel" in result.stderr
    events, summary, result = traced("do_mmap", "--filter", "prot & PROT_EXEC", "--", "cat", "/etc/hostname")
    assert result.returncode == 0
    assert {event["values"]["prot"]["raw"] & 4 for event in events} == {4}
    assert 0 < len(events) == summary["do_mmap"]["hits"] - summary["do_mmap"]["filtered"] < summary["do_mmap"]["hits"]
    assert tracing_state() == before


def test_trace_a_process_and_what_descends_of_it() -> None:
    sleeper = subprocess.Popen(
        ["sh", "-c", "while read line; do cat /etc/hostname; done"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert sleeper.stdin is not None
    tracing = subprocess.Popen(
        [sys.executable, "-m", "explorer.cli", "trace", OPEN, "--pid", str(sleeper.pid), "--comm", "cat",
         "--filter", 'filename == "/etc/hostname"', "--count", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert tracing.stderr is not None
    while "armed" not in tracing.stderr.readline():
        assert tracing.poll() is None
    subprocess.run(["cat", "/etc/hostname"], stdout=subprocess.DEVNULL, check=True)  # of another process
    sleeper.stdin.write(b"go\ngo\n")
    sleeper.stdin.close()
    output, errors = tracing.communicate(timeout=60)
    assert tracing.returncode == 0, errors
    assert len(output.splitlines()) == 2
    assert all("cat/" in line and '"/etc/hostname"' in line for line in output.splitlines())
    sleeper.wait()
