"""The agent's counters under a flood on a real kernel: they sum up, and they agree with what was done."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from explorer.agent import protocol
from tests.agent_driver import SYSTEM_PYTHON, Agent, agent
from tests.lab.tracing_state import TRACEFS, tracing_state

GETPGID = "__x64_sys_getpgid"
"""Called by nobody else in the lab, and cheap."""
BIRTHS = 20
FLOOD = """
import os, sys
for _ in range(int(sys.argv[1])):
    os.getpgid(0)
"""


@pytest.fixture
def running() -> Iterator[Agent]:
    before = tracing_state()
    with agent() as started:
        started.ask("budget", rate=None, share=None)  # floods are what these tests are about
        yield started
        assert started.quit() == []
    assert tracing_state() == before


@pytest.fixture(params=["tracefs", "bpf"])
def by_either_engine(request: pytest.FixtureRequest) -> Iterator[Agent]:
    before = tracing_state()
    with agent(engine=request.param) as started:
        started.ask("budget", rate=None, share=None)
        yield started
        assert started.quit() == []
    assert tracing_state() == before


def flood(calls: int, processes: int = 2) -> list[subprocess.Popen[bytes]]:
    return [subprocess.Popen([SYSTEM_PYTHON, "-I", "-S", "-c", FLOOD, str(calls)]) for _ in range(processes)]


def kernel_counts(event: str) -> tuple[int, int]:
    lines = (TRACEFS / "kprobe_profile").read_text().splitlines()
    [fields] = [line.split() for line in lines if line.split()[0] == event]
    return int(fields[1]), int(fields[2])


def kernel_agrees(event: str, hits: int, missed: int) -> bool:
    """Whether the kernel counted the same; a probe of the bpf engine has no event that it would count."""
    return not event or kernel_counts(event) == (hits, missed)


def arm(started: Agent, symbol: str, kind: str = "entry") -> tuple[int, str]:
    answer = started.ask("arm", probe={"symbol": symbol, "kind": kind, "values": [{"register": "ax", "type": "u64"}]})
    return answer["probe"], answer["event"]


def test_a_flood_is_counted_to_the_last_hit(by_either_engine: Agent) -> None:
    running = by_either_engine
    running.credit(500)
    probe, event = arm(running, GETPGID)
    calls = 30_000
    for process in flood(calls):
        while process.poll() is None:
            running.wait_for_quiet(0.05)
    hits, missed, lost, filtered, not_shown = running.disarm(probe)
    assert (hits, missed) == (2 * calls, 0)
    assert kernel_agrees(event, hits, missed)
    assert filtered == 0
    assert len(running.rows) == 500
    assert hits == len(running.rows) + not_shown + lost
    assert running.lost >= lost


def test_losses_are_counted_when_the_buffers_are_too_small(running: Agent) -> None:
    probe, event = arm(running, GETPGID)
    [instance] = [name for name in os.listdir(TRACEFS / "instances") if f"_{running.hello['pid']}_" in name]
    (TRACEFS / "instances" / instance / "buffer_size_kb").write_text("8")
    calls = 20_000
    for process in flood(calls):
        process.wait()
    hits, _, lost, filtered, not_shown = running.disarm(probe)
    assert (hits, 0) == (2 * calls, 0) == kernel_counts(event)
    assert lost > 0
    assert filtered == 0
    assert hits == not_shown + lost


def test_what_is_lost_until_a_flooded_probe_is_disabled_is_told_as_lost(running: Agent) -> None:
    probe, event = arm(running, GETPGID)
    [instance] = [name for name in os.listdir(TRACEFS / "instances") if f"_{running.hello['pid']}_" in name]
    (TRACEFS / "instances" / instance / "buffer_size_kb").write_text("8")
    processes = flood(10**9)
    running.wait(lambda: running.lost > 0)
    hits, _, lost, filtered, not_shown = running.disarm(probe)
    for process in processes:
        process.kill()
        process.wait()
    print(f"{hits:,} hits of {kernel_counts(event)[0]:,}: {lost:,} lost of {running.lost:,}, {filtered:,} filtered")
    assert hits == not_shown + lost + filtered <= kernel_counts(event)[0]
    assert filtered == 0
    assert 0 <= running.lost - lost < BIRTHS, "all but the births of threads, which are recorded too"


def test_an_explorer_that_does_not_read_costs_rows_and_never_counts(running: Agent) -> None:
    running.credit(1 << 30)
    answer = running.ask("arm", probe={"symbol": GETPGID, "kind": "entry", "registers": True})
    probe, event = answer["probe"], answer["event"]
    calls = 10_000
    for process in flood(calls):
        process.wait()  # nobody reads the agent's stream meanwhile
    status = Path(f"/proc/{running.hello['pid']}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    assert resident < 60_000, "kilobytes"
    hits, _, lost, filtered, not_shown = running.disarm(probe)
    assert hits == 2 * calls == kernel_counts(event)[0]
    assert not_shown > 0
    assert hits == len(running.rows) + not_shown + lost + filtered


def test_no_credit_no_rows(running: Agent) -> None:
    probe, _ = arm(running, GETPGID)
    os.getpgid(0)
    running.wait(lambda: probe in running.counters)
    assert running.disarm(probe)[0] == 1
    assert running.rows == []


def test_the_newest_rows_are_the_ones_shown(by_either_engine: Agent) -> None:
    running = by_either_engine
    running.credit(3)
    values = [{"register": "di", "dereference": [0x70], "type": "u64"}]  # the system call's first argument
    probe = running.arm(GETPGID, values=values)
    for process_id in range(1, 51):
        try:
            os.getpgid(process_id)
        except ProcessLookupError:
            continue
    running.disarm(probe)
    assert len(running.rows) == 3
    asked = [row[7][0] for row in running.rows]
    assert asked == sorted(asked)


def test_the_agents_own_calls_are_filtered_and_do_not_feed_themselves(by_either_engine: Agent) -> None:
    running = by_either_engine
    running.credit(1000)
    probe = running.arm("vfs_read")
    os.getpgid(0)
    _, _, _, filtered, _ = running.disarm(probe)
    assert filtered > 0
    assert running.hello["pid"] not in {row[3] for row in running.rows}


def test_missed_returns_are_told(running: Agent) -> None:
    # Four concurrent sleepers and room for one: the kernel cannot follow the others to their return.
    answer = running.ask("arm", probe={"symbol": "do_nanosleep", "kind": "return", "maxactive": 1})
    sleepers = [subprocess.Popen(["sleep", "2"]) for _ in range(4)]
    for sleeper in sleepers:
        sleeper.wait()
    hits, missed, _, _, _ = running.disarm(answer["probe"])
    assert (hits, missed) == kernel_counts(answer["event"])
    assert missed >= 1
    assert hits >= 1


def test_deleting_a_probe_does_not_cost_another_its_events(running: Agent) -> None:
    """Deleting a dynamic event empties the buffer of its instance: definitions are kept while anything is armed."""
    running.credit(10_000)
    steady, event = arm(running, GETPGID)
    calls = 5_000
    processes = flood(calls)
    for _ in range(5):
        running.disarm(running.arm("do_sys_openat2"))
    for process in processes:
        process.wait()
    hits, missed, lost, filtered, not_shown = running.disarm(steady)
    assert (hits, missed) == (2 * calls, 0) == kernel_counts(event)
    assert filtered == 0
    assert hits == len(running.rows_of(steady)) + not_shown + lost


def test_batches_come_at_twenty_a_second_at_most(running: Agent) -> None:
    running.credit(1 << 20)
    probe, _ = arm(running, GETPGID)
    start = os.times().elapsed
    for process in flood(10_000):
        while process.poll() is None:
            running.wait_for_quiet(0.01)
    elapsed = os.times().elapsed - start
    assert running.batches <= elapsed * 20 + 2
    running.disarm(probe)
    assert set(map(len, running.counters.values())) == {len(protocol.COUNTER_NAMES)}
