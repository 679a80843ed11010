"""A command behind its gate: nothing of it runs early, its end is told as a shell would."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from explorer.session.gated_command import GatedCommand
from symbols.errors import KexploreError


@pytest.mark.parametrize(
    ("script", "code"), [("exit 7", 7), ("true", 0), (f"kill -{int(signal.SIGTERM)} $$", 128 + signal.SIGTERM)]
)
def test_its_exit_code_passes_through(script: str, code: int) -> None:
    command = GatedCommand(["sh", "-c", script])
    command.open_gate()
    assert command.wait() == code


@pytest.mark.parametrize(("program", "code"), [("/nonexistent/program", 127), ("/etc/passwd", 126)])
def test_what_cannot_be_run_is_told_as_a_shell_does(program: str, code: int, capfd: pytest.CaptureFixture[str]) -> None:
    command = GatedCommand([program])
    command.open_gate()
    assert command.wait() == code
    assert program in capfd.readouterr().err


def test_nothing_runs_before_the_gate_opens_nor_when_it_never_does(tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    command = GatedCommand(["touch", str(proof)])
    command.abandon()
    assert not proof.exists()
    with pytest.raises(ChildProcessError):
        os.waitpid(command.pid, 0)


def test_its_output_goes_to_stderr_and_its_signals_are_the_default(capfd: pytest.CaptureFixture[str]) -> None:
    command = GatedCommand(["sh", "-c", "grep SigIgn /proc/$$/status"])
    command.open_gate()
    assert command.wait() == 0
    captured = capfd.readouterr()
    ignored = int(captured.err.split()[-1], 16)
    assert captured.out == ""
    assert not ignored & (1 << (signal.SIGPIPE - 1))


def test_no_command_is_a_usage_error() -> None:
    with pytest.raises(KexploreError, match="no command"):
        GatedCommand([])
