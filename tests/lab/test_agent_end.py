"""Whatever way the agent ends, the kernel is as it was; other people's probes never notice it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from explorer.agent import protocol
from tests.agent_driver import PATIENCE, Agent, agent
from tests.lab.tracing_state import TRACEFS, tracing_state

OPEN = "do_sys_openat2"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = tracing_state()
    yield
    assert tracing_state() == before


def arm_some(started: Agent) -> None:
    """A probe in use, one under a flood, and one whose definition is kept only."""
    started.arm(OPEN, "return")
    started.arm("vfs_read")
    started.disarm(started.arm(OPEN))
    assert (TRACEFS / "dynamic_events").read_text().count("\n") == 3


def violate(data: bytes) -> Callable[[Agent], None]:
    return lambda started: started.write(data)


ENDS: dict[str, tuple[Callable[[Agent], None], int]] = {
    "end of input": (lambda started: started.input.close(), 0),
    "SIGTERM": (lambda started: started.process.send_signal(signal.SIGTERM), 0),
    "SIGINT": (lambda started: started.process.send_signal(signal.SIGINT), 0),
    "SIGHUP": (lambda started: started.process.send_signal(signal.SIGHUP), 0),
    "broken frame": (violate(b"GET / HTTP/1.1\r\n\r\n"), 1),
    "unknown operation": (violate(protocol.encode({"op": "reboot", "id": 1})), 1),
    "a blob": (violate(protocol.encode({"op": "quit", "id": 1}, b"x")), 1),
}


@pytest.mark.parametrize("how", ENDS)
def test_nothing_is_left(how: str) -> None:
    end, code = ENDS[how]
    with agent() as started:
        arm_some(started)
        end(started)
        assert started.end() == code


def test_nothing_is_left_when_the_reader_is_gone() -> None:
    with agent() as started:
        started.credit(1 << 30)
        arm_some(started)
        os.close(os.dup(started.input.fileno()))
        assert started.process.stdout is not None
        started.process.stdout.close()
        Path("/etc/passwd").read_bytes()  # an event, so that it has something to say
        assert started.process.wait(PATIENCE) == 0


def test_quit_answers_after_everything_is_gone() -> None:
    before = tracing_state()
    started = Agent()
    try:
        started.arm(OPEN)
        assert tracing_state() != before
        assert started.ask("quit") == {"op": "bye", "id": 2, "left": [], "deleting": 0}
        assert tracing_state() == before
        assert started.end() == 0
    finally:
        started.stop()


def test_what_a_killed_agent_left_is_found_and_removed_and_no_more() -> None:
    killed, alive = Agent(), Agent()
    try:
        killed.arm(OPEN, "return")
        alive.credit(10_000)
        watching = alive.arm(OPEN, values=[{"register": "si", "dereference": [0], "type": "string"}])
        killed.kill_with_survivors()
        with agent() as later:
            [group] = later.hello["leftovers"]
            assert group.startswith(f"kexplore_{killed.hello['pid']}_")
            assert later.ask("clean")["removed"] == [group]
            assert later.ask("clean") == {"op": "cleaned", "id": 2, "removed": [], "failed": []}
            assert group not in (TRACEFS / "dynamic_events").read_text()
        subprocess.run(["cat", "/etc/hostname"], stdout=subprocess.DEVNULL, check=True)
        alive.disarm(watching)
        assert "/etc/hostname" in {row[7][0] for row in alive.rows}
        assert alive.quit() == []
    finally:
        killed.stop()
        alive.stop()


def test_an_instance_that_somebody_looks_into_is_left_alone() -> None:
    started = Agent()
    try:
        started.arm(OPEN)
        started.kill_with_survivors()
        name = next(name for name in os.listdir(TRACEFS / "instances") if f"_{started.hello['pid']}_" in name)
        with agent() as later:
            with open(TRACEFS / "instances" / name / "per_cpu/cpu0/trace_pipe_raw", "rb"):
                answer = later.ask("clean")
            assert answer["removed"] == []
            assert answer["failed"] == [f"instance {name}: it is in use"]
            assert name in (TRACEFS / "dynamic_events").read_text()
            assert later.ask("clean")["removed"] == [name]
    finally:
        started.stop()


def define(line: str) -> None:
    definitions = os.open(TRACEFS / "dynamic_events", os.O_WRONLY | os.O_APPEND)
    os.write(definitions, line.encode())
    os.close(definitions)


@pytest.fixture
def somebody_else() -> Iterator[Path]:
    """Another user's probe, armed in the global buffer: its switch."""
    define(f"p:mine/opened {OPEN}")
    switch = TRACEFS / "events/mine/opened/enable"
    switch.write_text("1")
    yield switch
    switch.write_text("0")
    define("-:mine/opened")
    (TRACEFS / "trace").write_text("")


def test_somebody_elses_probe_and_trace_survive(somebody_else: Path) -> None:
    before = tracing_state()["dynamic_events"]
    os.close(os.open("/etc/passwd", os.O_RDONLY))
    recorded = (TRACEFS / "trace").read_text().count("opened:")
    assert recorded
    with agent() as started:
        arm_some_of_ours(started)
        started.ask("clean")
        assert started.quit() == []
    assert somebody_else.read_text().strip() == "1"
    assert tracing_state()["dynamic_events"] == before
    assert (TRACEFS / "trace").read_text().count("opened:") >= recorded


def arm_some_of_ours(started: Agent) -> None:
    started.disarm(started.arm(OPEN))
    started.arm("vfs_read")


def test_our_events_are_removed_even_if_somebody_enabled_them_elsewhere() -> None:
    instance = TRACEFS / "instances/somebody"
    instance.mkdir()
    try:
        with agent() as started:
            event = started.ask("arm", probe={"symbol": OPEN, "kind": "entry"})["event"]
            [switch] = instance.glob(f"events/kexplore_*/{event}/enable")
            switch.write_text("1")
            assert started.quit() == []
    finally:
        instance.rmdir()


def test_two_agents_at_once() -> None:
    values = [{"register": "si", "dereference": [0], "type": "string"}]
    with agent() as one, agent() as other:
        probes = []
        for started in (one, other):
            started.credit(10_000)
            probes.append(started.arm(OPEN, values=values))
        os.close(os.open("/etc/hostname", os.O_RDONLY))
        one.disarm(probes[0])
        assert one.quit() == []
        os.close(os.open("/etc/passwd", os.O_RDONLY))
        other.disarm(probes[1])
        assert "/etc/hostname" in {row[7][0] for row in one.rows}
        assert {"/etc/hostname", "/etc/passwd"} <= {row[7][0] for row in other.rows}
        assert other.quit() == []


def test_fifty_toggles_leave_one_definition_and_then_none() -> None:
    with agent() as started:
        started.credit(1000)
        values = [{"register": "si", "dereference": [0], "type": "string"}]
        for turn in range(50):
            probe = started.arm(OPEN, values=values)
            os.close(os.open(f"/proc/self/task/{os.getpid()}", os.O_RDONLY))
            hits, _, lost, filtered, not_shown = started.disarm(probe)
            rows = started.rows_of(probe)
            assert any(row[3] == os.getpid() for row in rows), turn
            assert hits == len(rows) + lost + filtered + not_shown
            assert (TRACEFS / "dynamic_events").read_text().count("\n") <= 1
        end = time.monotonic() + PATIENCE
        while (TRACEFS / "dynamic_events").read_text() and time.monotonic() < end:
            started.ask("focus", pids=[])
        assert (TRACEFS / "dynamic_events").read_text() == ""
        assert started.problems == []


def test_an_agent_that_only_reads_touches_nothing() -> None:
    before = tracing_state()
    with agent() as started:
        data, messages = started.fact("kallsyms", compress=True)
        assert messages[0]["encoding"] == "zlib"
        assert data
        started.fact("kprobe_blacklist")
        assert tracing_state() == before
