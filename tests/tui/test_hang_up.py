"""The terminal vanishes: the program and its agent end all the same."""

from __future__ import annotations

import os
import pathlib
import pty
import select
import signal
import sys
import time

PATIENCE = 20.0


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


def test_program_and_agent_end_with_their_terminal() -> None:
    process, terminal = pty.fork()
    if process == 0:
        environment = {**os.environ, "TERM": "xterm-256color"}
        os.execve(sys.executable, [sys.executable, "-m", "explorer.cli"], environment)
    try:
        _read_until(terminal, b"exact, BTF")
        (agent,) = _children(process)
    finally:
        os.close(terminal)  # the kernel hangs up: SIGHUP to the program, EIO to its writes
        _wait(process)
    end = time.monotonic() + PATIENCE
    while pathlib.Path(f"/proc/{agent}").exists():
        assert time.monotonic() < end, "the agent is still there"
        time.sleep(0.02)
