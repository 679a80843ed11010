"""The terminal vanishes: the program and its agent end all the same."""

from __future__ import annotations

import os
import pathlib
import pty
import select
import signal
import sys
import time
from collections.abc import Callable

import pytest

PATIENCE = 60.0


def _children(process: int) -> list[int]:
    return [int(word) for word in pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _read_until(terminal: int, words: bytes) -> None:
    seen, end = b"", time.monotonic() + PATIENCE
    while words not in seen:
        assert time.monotonic() < end, seen[-500:]
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 1 << 16)


def _wait(process: int) -> None:
    end = time.monotonic() + PATIENCE
    while os.waitpid(process, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            raise AssertionError("the program did not end")
        time.sleep(0.02)


def _controlled() -> tuple[int, int]:
    """A child whose controlling terminal is a new one: it gets SIGHUP."""
    return pty.fork()


def _merely_attached() -> tuple[int, int]:
    """A child that only reads and writes a new terminal: nobody tells it anything."""
    terminal, end = pty.openpty()
    process = os.fork()
    if process == 0:
        os.setsid()
        for descriptor in range(3):
            os.dup2(end, descriptor)
        os.closerange(3, end + 1)
    else:
        os.close(end)
    return process, terminal


@pytest.mark.parametrize("start", [_controlled, _merely_attached])
def test_program_and_agent_end_with_their_terminal(start: Callable[[], tuple[int, int]]) -> None:
    process, terminal = start()
    if process == 0:
        environment = {**os.environ, "TERM": "xterm-256color"}
        os.execve(sys.executable, [sys.executable, "-m", "explorer.cli"], environment)
    try:
        _read_until(terminal, b", BTF")
        (agent,) = _children(process)
    finally:
        os.close(terminal)  # the kernel hangs up: nothing more to read, EIO to writes
        _wait(process)
    end = time.monotonic() + PATIENCE
    while pathlib.Path(f"/proc/{agent}").exists():
        assert time.monotonic() < end, "the agent is still there"
        time.sleep(0.02)
