"""A tethered program dies with whoever started it, and sees what it should."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from explorer.lab import tether

PARENT = """
import subprocess, sys
from explorer.lab import tether
child = subprocess.Popen(tether.command("/bin/sh", "-c", "echo $$; exec sleep 1000"))
child.wait()
"""


def test_it_dies_with_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent, parent.stdout:
        child = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.send_signal(signal.SIGKILL)
            assert select.select([child], [], [], 10)[0], "the child outlived its parent"
        finally:
            os.close(child)


def test_it_ends_when_its_parent_is_gone_already() -> None:
    stranger = [*tether.command("/bin/echo", "started")]
    stranger[4] = "1"
    assert subprocess.run(stranger, capture_output=True, check=True).stdout == b""


def test_the_exit_code_and_arguments_are_the_programs() -> None:
    done = subprocess.run(tether.command("/bin/sh", "-c", 'echo "$1"; exit 5', "sh", "a b"), capture_output=True)
    assert (done.returncode, done.stdout) == (5, b"a b\n")


def test_no_core_file_and_all_the_descriptors_there_are() -> None:
    done = subprocess.run(
        tether.command("/bin/sh", "-c", "ulimit -c; ulimit -Sn; ulimit -Hn"), capture_output=True, text=True, check=True
    )
    core, soft, hard = done.stdout.split()
    assert core == "0"
    assert soft == hard


def test_files_are_read_only(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "--mount", "true"] if os.geteuid() == 0 else ["unshare", "-rm", "true"]).returncode:
        pytest.skip("this machine has no mount namespaces for us")
    target = tmp_path / "written"
    done = subprocess.run(
        tether.command("/bin/sh", "-c", f"cat {__file__} > /dev/null && touch {target}", read_only=True),
        capture_output=True,
        text=True,
    )
    assert "Read-only file system" in done.stderr
    assert not target.exists()
    target.touch()  # the view is the program's alone
