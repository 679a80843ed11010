"""``trace --filter``, ``--comm``, ``--pid`` as far as nothing has to be armed for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_command_line import kexplore


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--filter", 'comn == "cat"'],
            ["no value called comn", '\n    comn == "cat"\n    ^~~~\n', "did you mean comm"],
        ),
        (["--filter", "cpu = 1"], ["= assigns", "\n        ^\n", "compare with =="]),
        (["--filter", ""], ["the filter is empty"]),
        (["--comm", "a-name-of-more-than-15"], ["a thread's name holds 15 bytes, this name has 22"]),
        (["--filter", "return < 0"], ["do_sys_openat2 has no return value", "do_sys_openat2%return"]),
    ],
)
def test_what_is_no_filter_is_usage_and_points_at_the_place(
    arguments: list[str], words: list[str], tmp_path: Path
) -> None:
    proof = tmp_path / "ran"
    result = kexplore("trace", "do_sys_openat2", *arguments, "--", "touch", str(proof))
    assert (result.returncode, result.stdout) == (2, "")
    for word in words:
        assert word in result.stderr
    assert not proof.exists()


def test_the_probe_that_lacks_a_value_is_named() -> None:
    result = kexplore("trace", "do_sys_openat2", "do_sys_openat2%return", "--filter", 'filename == "x"')
    assert result.returncode == 2
    assert "do_sys_openat2%return has no value called filename" in result.stderr


def test_a_process_and_a_command_exclude_each_other() -> None:
    result = kexplore("trace", "do_sys_openat2", "--pid", "1", "--", "true")
    assert result.returncode == 2
    assert "--pid and a COMMAND" in result.stderr
