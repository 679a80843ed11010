"""Floods on a real kernel: the guard holds them back, but no slow probe beside them; sums hold, memory is bounded."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.agent_driver import SYSTEM_PYTHON, Agent, agent
from tests.benchmarks.startup import memory_of
from tests.lab.test_agent_counts import GETPGID, arm, kernel_counts
from tests.lab.tracing_state import tracing_state

ENDLESS = "import os\nwhile True: os.getpgid(0)"


@pytest.fixture
def running() -> Iterator[Agent]:
    before = tracing_state()
    with agent() as started:
        yield started
        assert started.quit() == []
    assert tracing_state() == before


@pytest.fixture
def flood() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([SYSTEM_PYTHON, "-I", "-S", "-c", ENDLESS]) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_state(started: Agent, probe: int, state: str) -> None:
    started.wait(lambda: started.guard.get(probe, {}).get("state") == state)


def test_a_flood_is_sampled_and_what_is_counted_stays_exact(running: Agent, flood: subprocess.Popen[bytes]) -> None:
    running.ask("budget", rate=1500, share=None)
    slow = running.arm("do_nanosleep")
    probe, event = arm(running, GETPGID)
    running.wait(lambda: running.counters.get(probe, [0])[0] > 0)  # starting takes the flood a while
    begin = time.monotonic()
    wait_for_state(running, probe, "sampled")
    print(f"held back {time.monotonic() - begin:.2f} s after its first hits were told")
    # Slices take a part of this budget, the whole flood all of it: it is neither stopped nor let run. The first rate
    # may be that of a flood that has hardly begun.
    for _ in range(10):
        unseen = running.guard[probe]["unseen"]
        running.ask("budget", rate=int(running.guard[probe]["rate"]), share=None)
        running.wait(lambda: running.guard[probe]["unseen"] > unseen)  # noqa: B023 - called here only
        told = running.guard[probe]
        if 0 < told["enabled"] < 0.9:
            break
    assert told["rate"] > 1500
    assert 0 < told["enabled"] < 0.9
    flood.kill()
    flood.wait()
    hits, missed, lost, filtered, not_shown = running.disarm(probe)
    assert hits == len(running.rows_of(probe)) + not_shown + lost + filtered
    assert filtered == 0, "nobody else calls it"
    counted = kernel_counts(event)
    assert 0 < hits <= counted[0]
    assert missed == counted[1]
    assert running.guard[slow]["state"] == "running"
    assert running.disarm(slow)[0] >= 1


def test_what_is_over_the_budget_even_in_slices_is_stopped(running: Agent, flood: subprocess.Popen[bytes]) -> None:
    running.ask("budget", rate=50, share=None)
    probe, event = arm(running, GETPGID)
    wait_for_state(running, probe, "stopped")
    before = kernel_counts(event)
    begin = running.batches
    running.arm("do_nanosleep")
    subprocess.run(["sleep", "0.3"], check=True)
    running.wait(lambda: running.batches > begin)
    assert kernel_counts(event) == before, "it is disabled"
    hits, _, lost, filtered, not_shown = running.disarm(probe)
    assert hits == len(running.rows_of(probe)) + not_shown + lost + filtered > 0
    again, _ = arm(running, GETPGID)
    running.wait(lambda: again in running.counters)


def test_the_default_budget_holds_a_flood_back(running: Agent, flood: subprocess.Popen[bytes]) -> None:
    probe, _ = arm(running, GETPGID)
    running.wait(lambda: running.guard.get(probe, {}).get("state") in ("sampled", "stopped"))
    report = running.guard[probe]
    print(report)
    assert report["cost"] > 0.02


@pytest.mark.parametrize("engine", ["tracefs", "bpf"])
@pytest.mark.parametrize("listens", [True, False])
def test_a_flood_let_run_has_bounded_memory_and_exact_sums(
    listens: bool, engine: str, flood: subprocess.Popen[bytes]
) -> None:
    """A few hundred thousand hits: an agent that kept anything of each would soon be over the bound."""
    state = tracing_state()
    with agent(engine=engine) as started:
        started.ask("budget", rate=None, share=None)
        started.credit(1 << 40)
        if engine == "bpf":
            started.ask("prepare")
        before = memory_of(started.process.pid)
        probe = started.arm(GETPGID, registers=True)
        weights = []
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if listens:
                started.next()
            else:
                time.sleep(0.1)
            weights.append(memory_of(started.process.pid) - before)
        hits, _, lost, filtered, not_shown = started.disarm(probe)
        print(
            f"{hits:,} hits: the agent took up to {max(weights):.1f} MB more than {before:.1f}, {weights[-1]:.1f} last"
        )
        assert max(weights) < 16
        assert hits == len(started.rows_of(probe)) + lost + filtered + not_shown > 20_000
        assert started.quit() == []
    assert tracing_state() == state
