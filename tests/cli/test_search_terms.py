"""``kexplore search`` with terms: on this machine's kernel, whatever it can."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_command_line import kexplore

needs_types = pytest.mark.skipif(not Path("/sys/kernel/btf/vmlinux").exists(), reason="this kernel has no BTF")


@needs_types
def test_functions_by_what_they_take_and_return() -> None:
    result = kexplore("search", "takes:struct file *", "takes:loff_t", "vfs", "-returns:int", "--json", "--limit", "4")
    assert result.returncode == 0, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert found[0]["name"] == "vfs_read"
    assert set(found[0]) == {"name", "module", "address", "verdict"}
    shown = json.loads(kexplore("show", found[-1]["name"], "--json").stdout)["prototype"]
    assert "struct file *" in [parameter["type"] for parameter in shown["parameters"]]
    assert shown["return"]["type"] != "int"
    assert " of " in result.stderr
    assert "--limit" in result.stderr


def test_verdicts_are_asked_for_and_shown() -> None:
    result = kexplore("search", "is:refused", "--json", "--limit", "3")
    if result.returncode == 0:
        verdicts = [json.loads(line)["verdict"]["kind"] for line in result.stdout.splitlines()]
        assert "probeable" not in verdicts
    else:
        assert "nothing matches" in result.stderr


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (["vfs", "is:nonsense"], "at letter 8: is: has no 'nonsense'"),
        (["is:prob"], "probeable"),
        (["-nonsuch:x"], "there is no nonsuch:"),
        (["takes:struct"], "which struct?"),
        (["is:armed"], "full-screen"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint(query: list[str], words: str) -> None:
    result = kexplore("search", *query)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr


def test_help_tells_the_terms() -> None:
    assert 'takes:"struct bio *"' in kexplore("search", "--help").stdout
