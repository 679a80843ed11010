"""A command behind its gate: nothing of it runs early, its end is told as by a shell, its descendants are awaited."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from explorer.session.gated_command import GatedCommand
from symbols.errors import KexploreError


@pytest.mark.parametrize(
    ("script", "code"), [("exit 7", 7), ("true", 0), (f"kill -{int(signal.SIGTERM)} $$", 128 + signal.SIGTERM)]
)
async def test_its_exit_code_passes_through(script: str, code: int) -> None:
    command = GatedCommand(["sh", "-c", script])
    command.open_gate()
    assert await command.ended() == code == command.code
    await command.gone()


@pytest.mark.parametrize(("program", "code"), [("/nonexistent/program", 127), ("/etc/passwd", 126)])
async def test_what_cannot_be_run_is_told_as_a_shell_does(
    program: str, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    command = GatedCommand([program])
    command.open_gate()
    assert await command.ended() == code
    await command.gone()
    assert program in capfd.readouterr().err


async def test_nothing_runs_before_the_gate_opens_nor_when_it_never_does(tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    command = GatedCommand(["touch", str(proof)])
    os.kill(command.pid, 0)  # it is there, and its number is the one to look at
    command.abandon()
    assert not proof.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(command.pid, 0)


async def test_no_descriptor_is_left_whichever_way_it_ends() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        command = await GatedCommand.piped(["true"])
        command.open_gate()
        assert await command.output.read() == b""
        await command.gone()
        (await GatedCommand.piped(["true"])).abandon()
        with pytest.raises(KexploreError, match="null byte"):
            await GatedCommand.piped(["true\0"])
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_the_number_is_that_of_the_command(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    command = GatedCommand(["sh", "-c", f"echo $$ > {told}"])
    command.open_gate()
    await command.gone()
    assert int(told.read_text()) == command.pid


async def test_its_output_goes_to_stderr_and_its_signals_are_the_default(capfd: pytest.CaptureFixture[str]) -> None:
    command = GatedCommand(["grep", "Sig[IB]", "/proc/self/status"])
    command.open_gate()
    assert await command.ended() == 0
    await command.gone()
    captured = capfd.readouterr()
    assert captured.out == ""
    blocked, ignored = (int(line.split()[1], 16) for line in captured.err.splitlines())
    assert blocked == 0
    assert not ignored & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))


async def test_what_outlives_the_command_is_waited_for(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    command = GatedCommand(["sh", "-c", f"(read line < {gate}; : > {tmp_path}/late) & exit 3"])
    command.open_gate()
    assert await command.ended() == 3
    gone = asyncio.ensure_future(command.gone())
    await asyncio.sleep(0)
    assert not gone.done()
    with open(gate, "w") as file:
        file.write("go\n")
    await gone
    assert (tmp_path / "late").exists()


async def test_signals_reach_it_and_not_who_supervises() -> None:
    command = GatedCommand(["sh", "-c", 'trap "exit 5" USR1; echo ready >&2; while :; do sleep 0.05; done'])
    command.open_gate()
    while b"sleep" not in Path(f"/proc/{command.pid}/cmdline").read_bytes():
        await asyncio.sleep(0)
    command.send(signal.SIGUSR1)
    while command.code is None:
        command.send(signal.SIGUSR1)  # the shell may not have set its trap yet: then the signal ends it
        await command.ended()
    assert command.code in (5, 128 + signal.SIGUSR1)
    await command.gone()
    command.send(signal.SIGTERM)  # nobody is left: no error


async def test_detached_it_has_no_input_and_all_of_its_group_is_signalled() -> None:
    output, theirs = os.pipe()
    command = GatedCommand(["sh", "-c", "cat; sleep 1000 & sleep 1000 & wait"], output=theirs, detached=True)
    os.close(theirs)
    command.open_gate()
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
    while len(children.read_text().split()) < 2:
        await asyncio.sleep(0)
    command.send(signal.SIGTERM)
    assert await command.ended() == 128 + signal.SIGTERM
    await command.gone()
    assert os.read(output, 100) == b""


def test_when_the_explorer_dies_a_command_that_has_not_begun_never_does(tmp_path: Path) -> None:
    script = (
        "import os, signal; from explorer.session.gated_command import GatedCommand;"
        f"c = GatedCommand(['touch', '{tmp_path}/ran']); print(c.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == -signal.SIGKILL
    pid = int(result.stdout)
    while os.path.exists(f"/proc/{pid}"):
        os.sched_yield()
    assert not (tmp_path / "ran").exists()


def test_no_command_is_a_usage_error() -> None:
    with pytest.raises(KexploreError, match="no command"):
        GatedCommand([])
