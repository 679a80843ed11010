"""The agent as a process, without privilege and over an invented file tree: its conversation and its end."""

from __future__ import annotations

import gzip
import os
import select
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from explorer.agent import protocol
from tests.agent_driver import AGENT, Agent, Refused, agent

KALLSYMS = "".join(f"{0xFFFFFFFF81000000 + 16 * number:016x} T function_{number}\n" for number in range(30_000))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/kallsyms").write_text(KALLSYMS)
    (tmp_path / "proc/config.gz").write_bytes(gzip.compress(b"# CONFIG_KPROBES is not set\nCONFIG_FTRACE=y\n"))
    return tmp_path


def test_hello_says_what_it_is_and_why_it_cannot_probe(root: Path) -> None:
    with agent("--root", str(root)) as started:
        hello = started.hello
        assert (hello["op"], hello["version"], hello["pid"]) == ("hello", protocol.VERSION, started.process.pid)
        assert hello["kernel"]["release"] == os.uname().release
        assert hello["probing"] == {
            "can": False, "code": "kernel cannot", "cause": "this kernel was built without CONFIG_KPROBES",
            "hint": "kexplore --lab explores a throwaway kernel that has it",
        }  # fmt: skip
        with pytest.raises(Refused, match="without CONFIG_KPROBES"):
            started.arm("vfs_read")
        assert started.quit() == []


def test_where_bpf_is_not_possible_preparing_says_why(root: Path) -> None:
    with agent("--root", str(root)) as started:
        with pytest.raises(Refused, match="no kprobe events for perf"):
            started.ask("prepare")
        assert started.fact("kallsyms")[0]


def test_facts_come_in_chunks_and_requests_pass_them(root: Path) -> None:
    with agent("--root", str(root)) as started:
        data, messages = started.fact("kallsyms")
        assert data.decode() == KALLSYMS
        assert len(messages) == -(-len(KALLSYMS) // protocol.CHUNK)
        assert {message["encoding"] for message in messages} == {"raw"}
        packed, messages = started.fact("kallsyms", compress=True)
        assert zlib.decompress(packed).decode() == KALLSYMS
        assert {message["encoding"] for message in messages} == {"zlib"}
        with pytest.raises(Refused, match="no fact named 'shadow'"):
            started.fact("shadow")


@pytest.mark.parametrize(
    ("op", "members"),
    [
        ("fact", {}), ("fact", {"name": 1}), ("fact", {"name": "kallsyms", "compress": 1}), ("disarm", {}),
        ("disarm", {"probe": 7}), ("disarm", {"probe": "x"}), ("disarm", {"probe": []}), ("focus", {}),
        ("focus", {"pids": "1"}), ("focus", {"pids": [True]}), ("focus", {"pids": [-1]}), ("focus", {"pids": [2**40]}),
        ("deadline", {"seconds": "1"}), ("deadline", {"seconds": True}), ("deadline", {"seconds": -1}),
        ("deadline", {"seconds": 0}), ("deadline", {"seconds": 1e9}), ("deadline", {"seconds": float("nan")}),
        ("arm", {}), ("arm", {"probe": None}), ("arm", {"probe": []}),
        ("arm_many", {}), ("arm_many", {"probes": []}), ("arm_many", {"probes": [{}] * 65}),
        ("arm_many", {"probes": [None]}), ("arm_many", {"probes": [{"probe": {}, "path": "/"}]}),
        ("disarm_many", {}), ("disarm_many", {"probes": []}), ("disarm_many", {"probes": [True]}),
        ("disarm_many", {"probes": [1, 1]}), ("disarm_many", {"probes": list(range(65))}),
        ("disarm_many", {"probes": [1]}),
    ],
)  # fmt: skip
def test_wrong_members_are_an_error_and_the_session_goes_on(root: Path, op: str, members: dict[str, object]) -> None:
    with agent("--root", str(root)) as started:
        with pytest.raises(Refused) as caught:
            started.ask(op, **members)
        assert caught.value.code == "bad request"
        assert started.fact("kallsyms")[0]


def _hang_up(started: Agent) -> None:
    started.input.close()


@pytest.mark.parametrize(
    ("how", "code"),
    [
        (_hang_up, 0),
        (lambda started: started.process.send_signal(signal.SIGTERM), 0),
        (lambda started: started.process.send_signal(signal.SIGHUP), 0),
        (lambda started: started.process.send_signal(signal.SIGINT), 0),
        (lambda started: started.write(b"\xff" * 8), 1),
        (lambda started: started.write(protocol.encode({"op": "fact", "id": 1, "name": "x"}, b"blob")), 1),
        (lambda started: started.write(protocol.encode({"op": "reboot", "id": 1})), 1),
        (lambda started: started.write(protocol.encode({"op": "fact", "name": "kallsyms"})), 1),
        (lambda started: started.write(protocol.encode({"op": "credit", "rows": -1})), 1),
        (lambda started: started.write(protocol.encode({"op": "hello", "version": 99})), 1),
        (lambda started: started.write(protocol.encode({"op": "x", "pad": "y" * protocol.MAX_REQUEST})), 1),
    ],
    ids=[
        "end of input",
        "TERM",
        "HUP",
        "INT",
        "no frame",
        "blob",
        "unknown",
        "no id",
        "bad credit",
        "version",
        "too long",
    ],
)
def test_ends(root: Path, how: Callable[[Agent], None], code: int) -> None:
    with agent("--root", str(root)) as started:
        how(started)
        assert started.end() == code
        assert [message["op"] for message in started.problems] == ["problem"] * code


def test_an_explorer_of_another_version_is_told_so(root: Path) -> None:
    with agent("--root", str(root)) as started:
        started.write(protocol.encode({"op": "hello", "version": protocol.VERSION}))
        assert started.fact("kallsyms")[0]
        started.write(protocol.encode({"op": "hello", "version": [99]}))
        assert started.end() == 1
        [told] = started.problems
        assert told["message"] == f"the explorer speaks protocol [99], this agent {protocol.VERSION}"
        assert told["hint"] == "run the same kexplore on both sides"


def test_a_deadline_is_said_once_when_it_comes_and_arming_is_refused_until_another_one(root: Path) -> None:
    with agent("--root", str(root)) as started:
        started.ask("deadline", seconds=3600)
        assert started.ask("deadline", seconds=0.05) == {"op": "deadline", "id": 2}
        assert started.next()[0] == {"op": "expired", "counters": {}}
        with pytest.raises(Refused, match="time for probes is over"):
            started.arm("vfs_read")
        started.ask("deadline", seconds=None)
        with pytest.raises(Refused, match="CONFIG_KPROBES"):
            started.arm("vfs_read")
        assert started.quit() == []


def test_it_ends_when_nobody_reads_any_more(root: Path) -> None:
    with agent("--root", str(root)) as started:
        assert started.process.stdout is not None
        started.process.stdout.close()
        started.send("fact", name="kallsyms")
        assert started.process.wait(10) == 0


def test_a_peer_that_asks_and_never_listens_is_made_to_wait(root: Path) -> None:
    with agent("--root", str(root)) as started:
        os.set_blocking(started.input.fileno(), False)
        request = protocol.encode({"op": "fact", "id": 1, "name": "x" * 4000})
        assert len(request) < select.PIPE_BUF, "written whole or not at all"
        sent = 0
        while sent < 64 << 20 and select.select([], [started.input], [], 2)[1]:
            sent += os.write(started.input.fileno(), request)
        assert sent < 64 << 20
        status = Path(f"/proc/{started.process.pid}/status").read_text()
        assert next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) < 100_000


def test_it_leads_a_session_of_its_own(root: Path) -> None:
    with agent("--root", str(root)) as started:
        assert os.getsid(started.process.pid) == started.process.pid


def test_a_port_that_does_not_exist_is_a_line_on_stderr() -> None:
    result = subprocess.run(
        [sys.executable, "-I", "-S", str(AGENT), "--port", "/nonexistent/port"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "/nonexistent/port" in result.stderr
