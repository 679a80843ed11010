"""The command line as a script meets it: stdout, stderr, exit codes. On this machine's kernel, whatever it can."""

from __future__ import annotations

import json
import os
import pty
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEXPLORE = [sys.executable, "-m", "explorer.cli"]
# Another user id without the privilege that goes with this one: kernel addresses read as zero, nothing can be armed.
UNPRIVILEGED = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]


def kexplore(*arguments: str, prefix: list[str] | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*(prefix or []), *KEXPLORE, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60,
        env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_search_puts_the_meant_function_on_top() -> None:
    result = kexplore("search", "opnat2", "--limit", "3")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0].split()[1] == "do_sys_openat2"
    assert len(result.stdout.splitlines()) == 3


def test_search_as_json() -> None:
    first = json.loads(kexplore("search", "vfs", "read", "--json", "--limit", "1").stdout)
    assert set(first) == {"name", "module", "address", "verdict"}
    assert "vfs_read" in first["name"]


def test_a_search_without_a_match_fails_and_says_so() -> None:
    result = kexplore("search", "qqzzxxqqzzxx")
    assert (result.returncode, result.stdout) == (1, "")
    assert "nothing matches" in result.stderr


def test_show_keeps_the_contract() -> None:
    shown = json.loads(kexplore("show", "do_sys_openat2", "--json").stdout)
    assert shown["name"] == "do_sys_openat2"
    assert shown["type"] in "tT"
    assert isinstance(shown["address"], int)
    assert set(shown["verdict"]) == {"kind", "mechanism", "cost", "cause"}
    prototype = shown["prototype"]
    assert (prototype["source"], prototype["trust"]) == ("btf", "exact")
    first, second = prototype["parameters"][:2]
    assert (first["name"], first["type"], second["name"], second["type"]) == ("dfd", "int", "filename", "const char *")
    if os.uname().machine == "x86_64":
        assert first["location"] == {"kind": "register", "register": "di", "pt_regs_offset": 112, "size": 4}
        size = {"int": 4, "long": 8}[prototype["return"]["type"]]  # by the version of the kernel
        expected = {"kind": "register", "register": "ax", "pt_regs_offset": 80, "size": size}
        assert prototype["return"]["location"] == expected


def test_show_for_a_person() -> None:
    result = kexplore("show", "do_sys_openat2")
    first = result.stdout.splitlines()[0]
    assert first.endswith(" do_sys_openat2(int dfd, const char *filename, struct open_how *how)")
    assert "exact, from BTF" in result.stdout


def test_an_unknown_symbol_offers_the_nearest_names() -> None:
    result = kexplore("show", "do_sys_opneat2")
    assert (result.returncode, result.stdout) == (1, "")
    assert "no symbol named 'do_sys_opneat2'" in result.stderr
    assert "do_sys_openat2" in result.stderr


def test_tracing_without_privilege_is_refused_before_the_command_runs(tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    result = kexplore("trace", "do_sys_openat2", "--", "touch", str(proof), prefix=UNPRIVILEGED)
    assert result.returncode in (3, 4), result.stderr  # 4: this kernel could not, whoever asked
    assert "hint:" in result.stderr
    assert "Traceback" not in result.stderr
    assert not proof.exists()


def test_without_privilege_names_are_found_and_addresses_are_said_to_be_hidden() -> None:
    found = kexplore("search", "opnat2", "--limit", "1", prefix=UNPRIVILEGED)
    assert found.stdout.split()[:2] == ["-" * 16, "do_sys_openat2"]
    shown = kexplore("show", "do_sys_openat2", prefix=UNPRIVILEGED)
    assert "const char *filename" in shown.stdout
    assert "kptr_restrict" in shown.stdout
    assert json.loads(kexplore("show", "do_sys_openat2", "--json", prefix=UNPRIVILEGED).stdout)["address"] is None


def test_cleaning_without_privilege_is_not_permitted() -> None:
    result = kexplore("clean", prefix=UNPRIVILEGED)
    assert result.returncode == 3
    assert "sudo kexplore clean" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["trace"], ["trace", "a b"], ["trace", "x", "--count", "0"], ["trace", "x", "--"], ["nonsense"],
        ["search", "--", "x"], ["trace", "vfs_read+4%return"],
        ["trace", "takes:bio submit"], ["trace", "is:nothing"], ["trace", "tcp_* is:armed"],
        ["count", "tcp_*%return"],
    ],
)  # fmt: skip
def test_bad_usage_is_2_and_never_a_traceback(arguments: list[str]) -> None:
    result = kexplore(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr
    assert "Traceback" not in result.stderr


def test_no_terminal_is_a_clear_line() -> None:
    result = kexplore()
    assert result.returncode == 2
    assert "not a terminal" in result.stderr


def test_a_dumb_terminal_is_refused_in_a_clear_line() -> None:
    parent, child = pty.openpty()
    result = subprocess.run(
        KEXPLORE, stdin=child, stdout=child, stderr=child, cwd=ROOT, timeout=60, check=False,
        env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    os.close(child)
    shown = os.read(parent, 1 << 16).decode()
    os.close(parent)
    assert result.returncode == 1
    assert "TERM=dumb" in shown
    assert "hint:" in shown
    assert "Traceback" not in shown


def test_a_closed_pipe_is_no_traceback() -> None:
    words = " ".join([*KEXPLORE, "search", "a", "--limit", "5000"])
    result = subprocess.run(f"{words} | head -1", shell=True, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.stderr == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give root up")
def test_under_sudo_root_is_given_up_or_it_is_said_why_that_cannot_be() -> None:
    nobody = pwd.getpwnam("nobody")
    readable = all(others_can_read(place) for place in map(Path, sys.path) if place.is_dir())
    result = kexplore("search", "opnat2", "--limit", "1", SUDO_UID=str(nobody.pw_uid), SUDO_GID=str(nobody.pw_gid))
    assert "Traceback" not in result.stderr
    if readable:
        assert result.stdout.split()[1] == "do_sys_openat2"
    else:
        assert result.returncode == 3
        assert "nobody cannot read" in result.stderr


def others_can_read(place: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (place, *place.parents))
