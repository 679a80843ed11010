"""``kexplore lab``: what goes in and out, and that nothing is left, whatever way it ends. Each test boots a kernel."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

LAB = [sys.executable, "-m", "explorer.cli", "lab"]
LIMIT = 300.0  # for a whole test on a machine that is busy; a boot takes about six seconds


def descendants(pid: int) -> list[int]:
    """The children of a process, and theirs."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # pid (comm) state ppid: comm may hold anything
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


@contextlib.contextmanager
def nothing_left_of(pid: int, temporary: Path) -> Iterator[None]:
    """After the block, all descendants that the process had before are gone, and their temporary files."""
    watched = [os.pidfd_open(child) for child in descendants(pid)]
    assert len(watched) == 2, "QEMU and virtiofsd were to be running"
    try:
        yield
        for descriptor in watched:
            assert select.select([descriptor], [], [], 10)[0], "a process of the lab is left"
    finally:
        for descriptor in watched:
            os.close(descriptor)
    assert list(temporary.iterdir()) == []


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With a directory for temporary files that nobody else uses."""
    (tmp_path / "tmp").mkdir()
    return {**os.environ, "TMPDIR": str(tmp_path / "tmp")}


def test_streams_and_exit_code_are_passed_through(environment: dict[str, str], tmp_path: Path) -> None:
    sent = bytes(range(256)) * 1000 + b"\r\n\n"
    script = 'cat; echo "$PWD $KEXPLORE_LAB $(uname -r)" >&2; exit 42'
    with subprocess.Popen(
        [*LAB, "--", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=tmp_path,
    ) as lab:
        assert lab.stdin is not None
        assert lab.stdout is not None
        lab.stdin.write(sent[:1000])
        lab.stdin.flush()
        first = os.read(lab.stdout.fileno(), 1)
        with nothing_left_of(lab.pid, tmp_path / "tmp"):
            output, error = lab.communicate(sent[1000:], timeout=LIMIT)
    assert first + output == sent
    assert lab.returncode == 42
    narration, last = error.decode().rsplit("\n", 2)[:2]
    assert last.startswith(f"{tmp_path} 1 6.12.")
    assert "kernel up in" in narration


def test_a_command_over_its_time(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*LAB, "--time-limit", "0.5", "--", "sleep", "1000"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 124
    assert done.stderr.endswith("the command did not end in 0.5 s\n")
    assert done.stdout == ""


def test_a_panic_is_shown_with_the_kernels_last_words(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*LAB, "--", "sh", "-c", "echo c > /proc/sysrq-trigger"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 1
    assert "kexplore: the lab's kernel panicked\n" in done.stderr
    assert "sysrq triggered crash" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_after_a_signal(number: signal.Signals, environment: dict[str, str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [*LAB, "--", "sh", "-c", "echo up; exec sleep 1000"], stdout=subprocess.PIPE, env=environment
    ) as lab:
        assert lab.stdout is not None
        assert lab.stdout.readline() == b"up\n"
        with nothing_left_of(lab.pid, tmp_path / "tmp"):
            lab.send_signal(number)
            lab.wait(LIMIT)
    assert lab.returncode == (-number if number is signal.SIGKILL else 128 + number)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--time-limit", "soon"], "'soon' is no number above zero"),
        (["--cpus", "0"], "'0' is no number above zero"),
        (["uname"], "unrecognized arguments: uname"),
    ],
)
def test_bad_arguments_boot_nothing(arguments: list[str], complaint: str) -> None:
    done = subprocess.run([*LAB, *arguments], capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "booting" not in done.stderr


def test_a_cache_that_cannot_be_written_is_said(environment: dict[str, str]) -> None:
    done = subprocess.run(
        LAB, env={**environment, "XDG_CACHE_HOME": "/proc"}, capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 1
    assert done.stderr.startswith("kexplore: the lab cannot keep its kernel in /proc/kexplore/lab: ")
    assert "hint: set XDG_CACHE_HOME" in done.stderr


class Terminal:
    """A terminal with the lab's shell in it."""

    def __init__(self, environment: dict[str, str], rows: int, columns: int) -> None:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(LAB[0], LAB, environment)
        self._output = b""

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def until(self, text: str) -> str:
        """Wait for a text; what came before it and was not yet seen."""
        while text.encode() not in self._output:
            assert select.select([self.descriptor], [], [], LIMIT)[0], f"no {text!r} after {self._output!r}"
            self._output += os.read(self.descriptor, 4096)
        before, _, self._output = self._output.partition(text.encode())
        return before.decode()

    def mode(self) -> list[object]:
        return termios.tcgetattr(self.descriptor)


def test_the_shell_has_a_terminal(environment: dict[str, str]) -> None:
    terminal = Terminal(environment, 33, 101)
    terminal.until("booting")
    before = terminal.mode()
    terminal.until("root@kexplore-lab")
    # The job itself answers, so it is what gets the interrupt: a shell takes one between two commands for its own.
    terminal.type("stty size; cat\r")
    terminal.until("33 101\r\n")
    terminal.type("begun\r")
    terminal.until("begun\r\nbegun\r\n")  # echoed by the terminal, then by cat
    assert terminal.mode() != before
    terminal.type("\x03")  # for the cat in the guest, not for kexplore
    terminal.until("root@kexplore-lab")
    fcntl.ioctl(terminal.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 90, 0, 0))
    terminal.type(
        "until [ \"$(stty size)\" = '40 90' ]; do :; done; echo re''sized; trap 'echo at-exit; cat' EXIT; exit 5\r"
    )
    terminal.until("resized")
    terminal.until("at-exit")
    terminal.type("\x04")
    _, status = os.waitpid(terminal.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 5
    assert terminal.mode() == before
    os.close(terminal.descriptor)
