"""The full-screen program on a real kernel, from its first key to whatever ends it: nothing is left behind."""

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
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.tracing_state import DEADLINE

OPEN = "do_sys_openat2"
KPROBES = Path("/sys/kernel/debug/kprobes/list")


class Terminal:
    """The program in a pseudo terminal of 80x24, and what it has written so far."""

    def __init__(self, engine: str) -> None:
        self.parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "explorer.cli", "--engine", engine], stdin=child, stdout=child, stderr=child,
            start_new_session=True, env={**os.environ, "TERM": "xterm-256color"},
        )  # fmt: skip
        os.close(child)
        self.written = b""

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Take its output until something is so."""
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, f"{what} never came: {self.written[-2000:]!r}"
            if select.select([self.parent], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):  # the program has closed its end
                    self.written += os.read(self.parent, 1 << 16)

    def shows(self, word: str) -> None:
        self.until(lambda: word.encode() in self.written, f"{word!r} on the screen")

    def type(self, keys: str) -> None:
        self.written = b""
        os.write(self.parent, keys.encode())


def quit_by_key(terminal: Terminal) -> None:
    terminal.type("q")


def hang_up(terminal: Terminal) -> None:
    os.close(terminal.parent)
    terminal.parent = -1


def send(number: signal.Signals) -> Callable[[Terminal], None]:
    return lambda terminal: terminal.process.send_signal(number)


@pytest.mark.parametrize(
    ("end", "codes", "engine"),
    [
        (quit_by_key, {0}, "tracefs"),
        (send(signal.SIGTERM), {0, 143}, "tracefs"),
        (send(signal.SIGKILL), {-9}, "tracefs"),
        (hang_up, {0, 129}, "tracefs"),
        (quit_by_key, {0}, "bpf"),
        (send(signal.SIGKILL), {-9}, "bpf"),
    ],
    ids=["q", "SIGTERM", "kill -9", "closed terminal", "q, bpf", "kill -9, bpf"],
)  # fmt: skip
def test_whatever_ends_it_nothing_is_left(end: Callable[[Terminal], None], codes: set[int], engine: str) -> None:
    armed = KPROBES.read_text().count(OPEN)
    terminal = Terminal(engine)
    try:
        terminal.shows("can be probed")
        terminal.type(OPEN)
        terminal.shows("const char")
        terminal.type("\r")
        terminal.type(" r")
        terminal.until(lambda: KPROBES.read_text().count(OPEN) == armed + 2, "two armed probes")
        subprocess.run(["cat", "/nonexistent"], stderr=subprocess.DEVNULL, check=False)
        terminal.shows("ENOENT")
        end(terminal)
        if terminal.parent >= 0:
            terminal.until(lambda: terminal.process.poll() is not None, "the end")
            os.close(terminal.parent)
        code = terminal.process.wait(DEADLINE)
    finally:
        terminal.process.kill()  # a program that hangs must not stay for the tests behind this one
        terminal.process.wait()
    assert code in codes
