"""Cleanup as a promise: ways to die that give nobody a moment to clean up, and what ends by itself."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent_driver import AGENT, Agent, agent
from tests.lab.test_guard import ENDLESS
from tests.lab.test_trace_command import agents_of, children_of
from tests.lab.tracing_state import TRACEFS, tracing_state, wait_for_state, wait_until

OPEN = "do_sys_openat2"
GETPGID = "__x64_sys_getpgid"
FAULTY = f"""
import sys
sys.argv[0] = sys.path[0] = {str(AGENT.parents[2])!r}
from explorer.agent import __main__, bpf_engine, engine
bpf_engine.BpfEngine.drain = engine.Engine.drain = lambda *arguments: 1 / 0
sys.exit(__main__.main())
"""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = tracing_state()
    yield
    assert tracing_state() == before


@pytest.fixture
def flood() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", ENDLESS]) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_killed_agent_is_outlived_by_who_cleans_up(flood: subprocess.Popen[bytes]) -> None:
    before = tracing_state()
    started = Agent()
    try:
        started.ask("budget", rate=None, share=None)
        started.arm(GETPGID, "return")
        started.arm(OPEN)
        [survivor] = started.survivors()
        os.kill(survivor, signal.SIGTERM)
        started.stop(signal.SIGKILL)
        wait_for_state(before)
    finally:
        started.stop()


def test_what_everybody_was_killed_over_is_told_and_removed_at_the_next_start() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "explorer.cli", "trace", OPEN], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as killed:
        assert killed.stderr is not None
        while b"armed" not in killed.stderr.readline():
            assert killed.poll() is None
        [ours] = agents_of(killed)
        for victim in (*children_of(ours), killed.pid, ours):
            os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{ours}").exists(), "the agent's end")
    next_start = subprocess.run(
        [sys.executable, "-m", "explorer.cli", "trace", OPEN, "--for", "2h", "--", "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert next_start.returncode == 0, next_start.stderr
    assert f"removed what a dead session had left armed: kexplore_{ours}_" in next_start.stderr


@pytest.mark.parametrize("engine", ["tracefs", "bpf"])
def test_at_the_deadline_the_agent_disarms_by_itself_whether_or_not_anybody_listens(
    engine: str, flood: subprocess.Popen[bytes]
) -> None:
    before = tracing_state()
    with agent(engine=engine) as started:
        started.ask("budget", rate=None, share=None)
        started.credit(1 << 40)
        probe = started.arm(GETPGID, registers=True)
        started.ask("deadline", seconds=1)
        assert tracing_state()["kprobes"] != before["kprobes"]
        if engine == "tracefs":
            [switch] = TRACEFS.glob("instances/kexplore_*/events/kexplore_*/*/enable")
            assert switch.read_text().strip() == "1"
        # Not one byte is taken from it: its pipe is full by now.
        wait_until(lambda: tracing_state()["kprobes"] == before["kprobes"], "the end of the probe")
        started.wait(lambda: bool(started.expired))
        hits, _, lost, filtered, not_shown = started.expired[probe]
        assert hits == len(started.rows_of(probe)) + lost + filtered + not_shown > 0
        assert started.quit() == []


@pytest.mark.parametrize("engine", ["tracefs", "bpf"])
@pytest.mark.parametrize("how", ["an error of its own", "memory"])
def test_an_agent_that_fails_says_so_and_leaves_nothing(how: str, engine: str, flood: subprocess.Popen[bytes]) -> None:
    program = ("-c", FAULTY) if how == "an error of its own" else (str(AGENT),)
    started = Agent(program=program, engine=engine)
    try:
        started.ask("budget", rate=None, share=None)
        started.credit(1 << 40)
        started.arm(GETPGID, registers=True)
        if how == "memory":
            now = int(Path(f"/proc/{started.process.pid}/statm").read_text().split()[0]) * resource.getpagesize()
            resource.prlimit(started.process.pid, resource.RLIMIT_AS, (now, now))
        assert started.end() == 1
        assert started.problems[-1]["message"].startswith("the agent failed: ")
    finally:
        started.stop()


def test_a_full_disk_ends_a_trace_with_one_line() -> None:
    with open("/dev/full", "w") as full:
        traced = subprocess.run(
            [sys.executable, "-m", "explorer.cli", "trace", OPEN, "--", "cat", "/etc/hostname"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert traced.returncode == 1
    assert "kexplore: cannot write the results: No space left on device" in traced.stderr
    assert "Traceback" not in traced.stderr


@pytest.mark.parametrize("engine", ["tracefs", "bpf"])
def test_two_sessions_count_the_same_calls_and_neither_notices_the_others_end(engine: str) -> None:
    with agent(engine=engine) as one, agent(engine=engine) as other:
        if engine == "bpf":  # it is tried on the same call
            for each in (one, other):
                each.ask("prepare")
        probes = [each.arm(GETPGID) for each in (one, other)]
        for _ in range(50):
            os.getpgid(0)
        assert one.disarm(probes[0])[0] == 50
        one.kill_with_survivors()
        for _ in range(50):
            os.getpgid(0)
        with agent() as third:
            left = 1 if engine == "tracefs" else 0
            assert len(third.hello["leftovers"]) == left
            assert len(third.ask("clean")["removed"]) == left
        assert other.disarm(probes[1])[0] == 100
        assert other.quit() == []
