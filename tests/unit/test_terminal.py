"""Terminals that cannot carry the full-screen program are refused with a clear word."""

from __future__ import annotations

import pytest

from explorer.terminal import check_terminal
from symbols.errors import KexploreError


@pytest.mark.parametrize("kind", ["xterm-256color", "tmux-256color", "linux", "vt100"])
def test_usable_terminals_pass(kind: str) -> None:
    check_terminal({"TERM": kind}, True, True)


@pytest.mark.parametrize(
    ("environment", "stdin", "stdout", "word"),
    [
        ({"TERM": "dumb"}, True, True, "TERM=dumb"),
        ({}, True, True, "TERM is not set"),
        ({"TERM": "xterm"}, False, True, "input"),
        ({"TERM": "xterm"}, True, False, "output"),
    ],
)
def test_others_are_refused(environment: dict[str, str], stdin: bool, stdout: bool, word: str) -> None:
    with pytest.raises(KexploreError) as caught:
        check_terminal(environment, stdin, stdout)
    assert word in caught.value.message
    assert caught.value.hint
