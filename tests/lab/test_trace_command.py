"""``kexplore trace`` on a real kernel: real hits, real values, nothing left behind."""

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

from explorer.agent.bpf_calls import release
from explorer.agent.protocol import BPF_MISSED_SINCE
from explorer.session.probe_spec import ProbeSpec
from symbols.errors import Category, KexploreError
from tests.lab.local_session import local_session
from tests.lab.tracing_state import DEADLINE, TRACEFS, tracing_state, wait_for_state

KEXPLORE = [sys.executable, "-m", "explorer.cli"]
OPEN = "do_sys_openat2"


def kexplore(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KEXPLORE, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=DEADLINE, check=False
    )


def traced(*arguments: str) -> tuple[list[dict[str, Any]], dict[str, dict[str, int]], subprocess.CompletedProcess[str]]:
    result = kexplore("trace", "--json", *arguments)
    assert result.stdout, result.stderr
    *events, last = [json.loads(line) for line in result.stdout.splitlines()]
    return events, last["summary"], result


def define(line: str) -> None:
    """Python's own append mode seeks to the end, which this file refuses."""
    events = os.open(TRACEFS / "kprobe_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(events, line.encode() + b"\n")
    finally:
        os.close(events)


@pytest.fixture
def somebody_elses() -> Iterator[None]:
    """A probe of another user, which stands there before and after."""
    define(f"p:others/mine {OPEN}")
    try:
        before = tracing_state()
        yield
        assert tracing_state() == before
    finally:
        define("-:others/mine")


@pytest.mark.parametrize("engine", ["tracefs", "bpf"])
def test_cat_is_seen_opening_its_files(engine: str, somebody_elses: None) -> None:
    """One of them is missing, which its exit code tells."""
    script = "echo $$ >&2; exec cat /etc/passwd /nonexistent/file"
    events, summary, result = traced("--engine", engine, OPEN, f"{OPEN}%return", "--", "sh", "-c", script)
    assert result.returncode == 1, "it passes through"
    pid = int(next(line for line in result.stderr.splitlines() if line.isdigit()))
    [opened] = [e for e in events if e["kind"] == "entry" and e["values"]["filename"]["text"] == "/etc/passwd"]
    assert (opened["pid"], opened["tid"], opened["comm"], opened["context"]) == (pid, pid, "cat", "task")
    assert opened["values"]["dfd"] == {"raw": -100, "text": "AT_FDCWD"}
    following = [e for e in events if e["kind"] == "return" and e["tid"] == pid and e["t"] > opened["t"]]
    assert following[0]["values"]["return"] == {"raw": 3, "text": "3"}
    assert "-ENOENT" in {e["values"]["return"]["text"] for e in following}
    assert Path("/etc/passwd").read_text() in result.stderr  # its own output
    entries = [e for e in events if e["kind"] == "entry"]
    assert {e["pid"] for e in events} == {pid}, "only the command and what it starts"
    counters = summary[OPEN]
    assert counters["hits"] - counters["filtered"] == len(entries)
    known = engine == "tracefs" or release() >= BPF_MISSED_SINCE
    assert (counters["missed"], counters["lost"], counters["not_shown"]) == (0 if known else None, 0, 0)


def test_a_command_that_does_not_exist() -> None:
    result = kexplore("trace", OPEN, "--", "/nonexistent/program")
    assert result.returncode == 127
    assert "No such file" in result.stderr


def test_for_a_person_it_is_one_line_a_hit_and_five_numbers_a_probe() -> None:
    result = kexplore("trace", OPEN, "--", "cat", "/etc/hostname")
    [line] = [line for line in result.stdout.splitlines() if '"/etc/hostname"' in line]
    assert f'{OPEN}  dfd=AT_FDCWD filename="/etc/hostname" how=kernel:0xff' in line
    assert "cat/" in line
    assert "0 missed, 0 lost" in result.stderr


def test_it_ends_after_a_count_and_after_a_time() -> None:
    result = kexplore("trace", "vfs_read", "--count", "3")
    assert (result.returncode, len(result.stdout.splitlines())) == (0, 3)
    assert kexplore("trace", "vfs_read", "--duration", "0.5").returncode == 0


def test_hot_and_returning_functions_fire() -> None:
    events, summary, _ = traced(
        "handle_mm_fault", "vfs_read%return", "--", sys.executable, "-I", "-S", "-c", "print(1)"
    )
    assert summary["handle_mm_fault"]["hits"] > 50
    assert summary["vfs_read%return"]["hits"] > 5
    assert any(e["values"]["return"]["raw"] > 0 for e in events if e["kind"] == "return")
    fault = next(e for e in events if e["probe"] == "handle_mm_fault")
    assert fault["values"]["vma"]["text"].startswith("kernel:0xff")
    assert fault["values"]["address"]["raw"] < 1 << 47


async def test_what_cannot_be_armed_is_refused_with_the_cause() -> None:
    listed = (TRACEFS / "available_filter_functions").read_text().split()
    # Its file is built without call sites for ftrace, and Debian leaves the option unset that allows breakpoints.
    assert "_copy_from_user" not in listed, "it can be probed now: arm it in a test above instead"
    blacklist = Path("/sys/kernel/debug/kprobes/blacklist").read_text().splitlines()
    blacklisted = {line.split("\t")[1] for line in blacklist}
    forbidden = next(n for n in ("exc_page_fault", "do_int3", "exc_debug", "native_load_gdt") if n in blacklisted)
    refused = [
        ("nomod:foo", Category.FAILED, "nomod"),
        ("jiffies", Category.KERNEL_CANNOT, "not a function"),
        ("_copy_from_user%return", Category.KERNEL_CANNOT, "built without CONFIG_KPROBE_EVENTS_ON_NOTRACE"),
        (forbidden, Category.KERNEL_CANNOT, "must not touch|not allowed"),
    ]
    if "__pfx_do_sys_openat2" in Path("/proc/kallsyms").read_text():  # padding has symbols since 6.2
        refused.append(("__pfx_do_sys_openat2", Category.KERNEL_CANNOT, "patching"))
    async with local_session() as session:
        for probe, category, words in refused:
            with pytest.raises(KexploreError, match=words) as caught:
                await session.arm(ProbeSpec.parse(probe), registers=False)
            assert caught.value.category is category


def test_an_unknown_name_is_refused_and_the_meant_one_named() -> None:
    result = kexplore("trace", "do_sys_opneat2", "--count", "1")
    assert (result.returncode, result.stdout) == (1, ""), result.stderr
    assert OPEN in result.stderr
    assert "Traceback" not in result.stderr


@contextlib.contextmanager
def tracing() -> Iterator[subprocess.Popen[bytes]]:
    """A ``kexplore trace`` that has armed two probes; it does not outlive the test, whatever becomes of that."""
    before = tracing_state()
    with subprocess.Popen(
        [*KEXPLORE, "trace", "vfs_read", f"{OPEN}%return"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            while b"armed" not in process.stderr.readline():
                assert process.poll() is None
            assert tracing_state() != before
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
)
def test_whatever_ends_it_nothing_is_left(number: signal.Signals, code: int) -> None:
    before = tracing_state()
    with tracing() as process:
        process.send_signal(number)
        assert process.wait(DEADLINE) == code
        wait_for_state(before)


def test_a_reader_that_stops_ends_it() -> None:
    words = " ".join([*KEXPLORE, "trace", "vfs_read"])
    result = subprocess.run(
        ["bash", "-c", f"{words} | head -2; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True
    )
    assert (result.returncode, len(result.stdout.splitlines())) == (141, 2)
    assert "Traceback" not in result.stderr


def agents_of(process: subprocess.Popen[bytes]) -> list[int]:
    return children_of(process.pid)


def children_of(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_after_a_killed_agent_clean_removes_what_it_left() -> None:
    before = tracing_state()
    with tracing() as process:
        [agent] = agents_of(process)
        for survivor in children_of(agent):
            os.kill(survivor, signal.SIGKILL)
        os.kill(agent, signal.SIGKILL)
        assert process.wait(DEADLINE) == 1
    assert tracing_state() != before, "nobody was left to clean up: otherwise this test proves nothing"
    result = kexplore("clean")
    assert result.returncode == 0, result.stderr
    assert str(agent) in result.stdout
    assert tracing_state() == before


def test_clean_leaves_a_living_session_alone_which_ends_by_itself() -> None:
    with tracing() as process:
        armed = tracing_state()
        result = kexplore("clean")
        assert result.returncode == 0
        assert "nothing was left behind" in result.stderr
        assert tracing_state() == armed
        process.terminate()
        assert process.wait(DEADLINE) == 143
