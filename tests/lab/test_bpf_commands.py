"""The commands that only the bpf engine can serve, on a real kernel."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from explorer.agent.bpf_calls import release
from explorer.agent.protocol import BPF_MISSED_SINCE
from tests.lab.test_trace_command import OPEN, kexplore, traced
from tests.lab.tracing_state import tracing_state, wait_for_state

GETPGID = "__x64_sys_getpgid"


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    before = tracing_state()
    yield
    wait_for_state(before)


def test_stacks_stand_under_each_event_and_lead_back_to_the_system_call() -> None:
    result = kexplore("trace", "--stack", "both", OPEN, "--", "cat", "/etc/hostname")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if '"/etc/hostname"' in line)
    frames = lines[at + 1 : at + 12]
    assert OPEN in frames[0]
    assert any("do_syscall_64" in frame for frame in frames)
    assert any(frame.split()[0].startswith("0x7") for frame in frames), "the process's own, as addresses"
    events, summary, _ = traced("--stack", "kernel", OPEN, "--", "cat", "/etc/hostname")
    [opened] = [event for event in events if event["values"]["filename"]["text"] == "/etc/hostname"]
    assert opened["stacks"]["kernel"][0]["symbol"].startswith(OPEN)
    assert str(summary[OPEN]["engine"]) == "bpf"


def test_calls_are_counted_by_who_makes_them_and_by_their_time() -> None:
    program = "import os\nfor number in range(300): os.getpgid(0)"
    result = kexplore(
        "aggregate",
        "--json",
        "--by",
        "comm",
        GETPGID,
        f"{GETPGID}%call",
        "--",
        sys.executable,
        "-I",
        "-S",
        "-c",
        program,
    )
    assert result.returncode == 0, result.stderr
    counted, timed = map(json.loads, result.stdout.splitlines())
    known = release() >= BPF_MISSED_SINCE
    assert (counted["hits"], counted["lost"], counted["missed"]) == (300, 0, 0 if known else None)
    [key] = counted["keys"]
    assert key["count"] == 300
    [key] = timed["keys"]
    assert (key["count"], timed["unpaired"]) == (300, 0)
    assert 0 < key["p50"] <= key["p95"]


def test_for_a_person_there_is_a_histogram() -> None:
    result = kexplore("aggregate", "vfs_read", "--of", "count", "--", "cat", "/etc/hostname")
    assert result.returncode == 0, result.stderr
    assert "mean" in result.stdout
    assert "131,072" in result.stdout, "what cat asks for"
    assert "0 missed, 0 lost" in result.stderr
