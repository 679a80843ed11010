"""``kexplore snapshot`` and ``--kernel``, on this machine's kernel."""

from __future__ import annotations

import json
import os
import pwd
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from tests.cli.test_command_line import UNPRIVILEGED, kexplore, others_can_read

# Plain, duplicate, variable, system call, padding.
NAMES = ["vfs_read", "do_sys_openat2", "type_show", "jiffies_64", "__x64_sys_openat", "__pfx_vfs_read", "schedule"]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("snapshot") / "kernel.kxs"
    result = kexplore("snapshot", str(path))
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert f"Linux {os.uname().release}" in result.stderr
    assert "KASLR" in result.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size < 8_000_000
    return str(path)


@pytest.mark.parametrize("name", NAMES)
def test_show_says_the_same_as_on_the_live_kernel(snapshot: str, name: str) -> None:
    assert kexplore("--kernel", snapshot, "show", name, "--json").stdout == kexplore("show", name, "--json").stdout


def test_search_finds_the_same(snapshot: str) -> None:
    query = ("search", "opnat2", "--limit", "20", "--json")
    found = kexplore("--kernel", snapshot, *query).stdout
    assert found == kexplore(*query).stdout
    assert json.loads(found.splitlines()[0])["name"] == "do_sys_openat2"


def test_types_are_the_same(snapshot: str) -> None:
    assert kexplore("--kernel", snapshot, "type", "open_how").stdout == kexplore("type", "open_how").stdout != ""


def test_tracing_on_it_is_refused(snapshot: str) -> None:
    result = kexplore("--kernel", snapshot, "trace", "vfs_read", "--", "true")
    assert result.returncode == 4
    assert "nothing is armed on it" in result.stderr


def test_the_doctor_tells_what_it_is(snapshot: str) -> None:
    findings = [json.loads(line) for line in kexplore("--kernel", snapshot, "doctor", "--json").stdout.splitlines()]
    (taken,) = (finding["text"] for finding in findings if finding["topic"] == "snapshot")
    assert taken.endswith(" UTC by root" if os.geteuid() == 0 else f" UTC by user {os.geteuid()}")


def test_what_exists_is_not_replaced(snapshot: str) -> None:
    before = Path(snapshot).read_bytes()
    result = kexplore("snapshot", snapshot)
    assert result.returncode == 2
    assert "--force" in result.stderr
    assert Path(snapshot).read_bytes() == before


def test_without_privilege_it_says_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "kernel.kxs"
    taken = kexplore("snapshot", str(path), prefix=UNPRIVILEGED)
    assert taken.returncode == 0, taken.stderr
    assert "not in it: available_filter_functions: " in taken.stderr
    shown = kexplore("--kernel", str(path), "show", "vfs_read")
    assert "hidden by the kernel" in shown.stdout
    assert "available_filter_functions: not in this snapshot: " in shown.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give root up")
def test_under_sudo_the_file_belongs_to_the_caller() -> None:
    nobody = pwd.getpwnam("nobody")
    if not all(others_can_read(place) for place in map(Path, sys.path) if place.is_dir()):
        pytest.skip("nobody cannot read the program here")
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        path = Path(folder, "kernel.kxs")
        kexplore("snapshot", str(path), SUDO_UID=str(nobody.pw_uid), SUDO_GID=str(nobody.pw_gid))
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (nobody.pw_uid, 0o600)


@pytest.mark.parametrize("command", [["clean"], ["snapshot", "other"]])
def test_a_snapshot_is_for_looking_only(snapshot: str, command: list[str]) -> None:
    result = kexplore("--kernel", snapshot, *command)
    assert result.returncode == 2
    assert "--kernel goes with" in result.stderr


def test_what_is_no_snapshot_is_a_clear_line() -> None:
    for file, words in ((__file__, "is no snapshot"), ("/dev/zero", "no regular file"), ("/absent", "cannot open")):
        result = kexplore("--kernel", file, "search", "x")
        assert (result.returncode, result.stdout) == (1, "")
        assert words in result.stderr
        assert "Traceback" not in result.stderr
