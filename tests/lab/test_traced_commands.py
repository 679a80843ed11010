"""Commands under the tracer on a real kernel: their tree and nothing else, from the first instruction to the last."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from tests.lab.test_trace_command import KEXPLORE, traced

OPEN = "do_sys_openat2"


@pytest.mark.parametrize("engine", ["tracefs", "bpf"])
def test_what_outlives_the_command_is_traced_to_its_end_and_nobody_else(engine: str) -> None:
    """The grandchild is adopted by another process long before it opens its file."""
    other = subprocess.Popen(
        ["sh", "-c", "while sleep 0.1; do cat /etc/passwd; done"], stdout=subprocess.DEVNULL, start_new_session=True
    )
    script = "(sleep 2; exec cat /etc/hostname) & exit 3"
    events, summary, result = traced("--engine", engine, OPEN, "__x64_sys_execve", "--", "sh", "-c", script)
    other.terminate()
    other.wait()
    assert result.returncode == 3
    assert str(summary[OPEN]["engine"]) == engine
    opened = {event["values"]["filename"]["text"] for event in events if event["probe"] == OPEN}
    assert "/etc/hostname" in opened
    assert "/etc/passwd" not in opened
    assert "/etc/ld.so.cache" in opened
    first = min(events, key=lambda event: event["t"])
    assert first["probe"] == "__x64_sys_execve", "its very first call is seen"
    assert {event["comm"] for event in events} <= {"sh", "sleep", "cat", "kexplore", "python", "python3"}
    assert "what it started goes on" in result.stderr
    assert summary[OPEN]["hits"] == summary[OPEN]["filtered"] + len([e for e in events if e["probe"] == OPEN])


def test_signals_are_passed_on_and_the_command_ends_with_the_tracing() -> None:
    script = 'trap "exit 9" INT; cat /etc/hostname; while :; do sleep 0.1; done'
    tracing = subprocess.Popen(
        [*KEXPLORE, "trace", "--json", OPEN, "--filter", 'filename == "/etc/hostname"', "--", "sh", "-c", script],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    assert tracing.stdout is not None
    assert json.loads(tracing.stdout.readline())["values"]["filename"]["text"] == "/etc/hostname"
    tracing.send_signal(signal.SIGINT)  # from nobody's terminal: passed on, and the command answers by ending
    output, _ = tracing.communicate(timeout=60)
    assert tracing.returncode == 9
    assert "summary" in output.splitlines()[-1]
    endless = [sys.executable, "-I", "-S", "-c", "while True: open('/dev/null')"]
    result = subprocess.run(
        [*KEXPLORE, "trace", OPEN, "--count", "1", "--", *endless],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0
    assert "the command is ended with the tracing" in result.stderr
    assert len(result.stdout.splitlines()) == 1
