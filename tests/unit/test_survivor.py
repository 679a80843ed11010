"""The process that outlives the agent, on processes that stand for it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from explorer.agent.survivor import Survivor

PATIENCE = 60.0


def gone(process: int) -> bool:
    """Whether a process that is not our child has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def agent_with(remove: Callable[[], bool], report: Path, ending: Callable[[Survivor], None]) -> tuple[int, int]:
    """A process with a survivor that writes its number, then ends in some way; both numbers."""
    process = os.fork()
    if process == 0:
        survivor = Survivor(remove)
        report.write_text(str(survivor.pid))
        ending(survivor)
        os._exit(0)
    wait_until(lambda: report.exists() and report.read_text() != "")
    return process, int(report.read_text())


def test_it_removes_what_is_left_when_the_agent_is_killed_and_tries_until_it_can(tmp_path: Path) -> None:
    tries = tmp_path / "tries"

    def remove() -> bool:
        tries.write_text(tries.read_text() + "." if tries.exists() else ".")
        return len(tries.read_text()) == 3

    process, survivor = agent_with(remove, tmp_path / "pid", lambda survivor: signal.pause())
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(survivor, number)
    assert os.getsid(survivor) == survivor
    assert Path(f"/proc/{survivor}/comm").read_text() == "kexplore-heir\n"
    assert not tries.exists()
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    wait_until(lambda: gone(survivor))
    assert tries.read_text() == "..."


def test_it_has_nothing_to_do_when_it_is_dismissed(tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    process, survivor = agent_with(lambda: bool(tries.write_text(".")), tmp_path / "pid", Survivor.dismiss)
    assert os.waitpid(process, 0)[1] == 0
    assert gone(survivor)
    assert not tries.exists()


def test_a_survivor_that_was_killed_is_dismissed_all_the_same() -> None:
    survivor = Survivor(lambda: True)
    os.kill(survivor.pid, signal.SIGKILL)
    survivor.dismiss()
    with pytest.raises(ProcessLookupError):
        os.kill(survivor.pid, 0)


def test_it_holds_no_file_of_the_agents(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w"):
        survivor = Survivor(lambda: True)
        try:
            held = {os.readlink(entry) for entry in Path(f"/proc/{survivor.pid}/fd").iterdir()}
            assert len(held) == 1
            assert held.pop().startswith("socket:")
        finally:
            survivor.dismiss()
