"""``kexplore trace`` of patterns on a real kernel: all members count; given up or killed half-way, nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.tracing_state import DEADLINE, TRACEFS, wait_until

TRACE = [sys.executable, "-m", "explorer.cli", "trace"]


@pytest.mark.parametrize("engine", ["tracefs", "bpf"])
def test_a_pattern_is_told_armed_counted_and_accounted_for(engine: str) -> None:
    command = [*TRACE, "--engine", engine, "--json", "--yes", "vfs_*", "-mod:* *_openat2", "--", "cat", "/etc/passwd"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert result.returncode == 0, result.stderr
    *events, last = [json.loads(line) for line in result.stdout.splitlines()]
    summary = last["summary"]
    probes = {name for name in summary if name.startswith("vfs_")}
    listed = set((TRACEFS / "available_filter_functions").read_text().split())
    assert len(probes) > 50
    assert "do_sys_openat2" in summary
    assert probes >= {name for name in listed if name.startswith("vfs_") and name.isidentifier()} - duplicates()
    for name, counters in summary.items():
        shown = sum(event["probe"] == name for event in events)
        assert counters["hits"] == shown + counters["not_shown"] + counters["lost"] + counters["filtered"]
    [opened] = [event for event in events if event["values"].get("filename", {}).get("text") == "/etc/passwd"]
    assert opened["comm"] == "cat"
    assert f"vfs_*: {len(probes)} functions" in result.stderr or "cannot be probed" in result.stderr
    assert "armed in" in result.stderr
    assert f"of {len(probes):,} probes hit" in result.stderr


def duplicates() -> set[str]:
    """Names that several functions have: probed by address, and so called in the summary."""
    seen: set[str] = set()
    twice: set[str] = set()
    for line in Path("/proc/kallsyms").read_text().splitlines():
        name = line.split()[2]
        (twice if name in seen else seen).add(name)
    return twice


def armed() -> int:
    """Probes in the kernel, whoever's they are."""
    return Path("/sys/kernel/debug/kprobes/list").read_text().count("\n")


@pytest.mark.parametrize("engine", ["tracefs", "bpf"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_end_in_the_middle_of_arming_leaves_nothing(how: signal.Signals, engine: str) -> None:
    command = [*TRACE, "--engine", engine, "--yes", "ext4_*"]
    before = armed()
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        wait_until(lambda: armed() > before + 20, "a few are armed")
        os.kill(process.pid, how)
        _, told = process.communicate(timeout=DEADLINE)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "given up: " in told
        assert "are disarmed again" in told
        assert "nothing is armed any more" in told
