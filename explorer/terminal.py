"""Whether this terminal can carry a full-screen program; asked before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping

from symbols.errors import Category, KexploreError

SMALLEST = (60, 15)
"""Columns and rows below which the panes would hide more than they show."""

_CANNOT_MOVE_CURSOR = frozenset({"", "dumb", "unknown", "emacs"})


def check_terminal(environment: Mapping[str, str], stdin_is_tty: bool, stdout_is_tty: bool) -> None:
    """Refuse what the program could only fail on.

    Raises:
        KexploreError: Input or output is no terminal, or the terminal cannot move its cursor.
    """
    if not (stdin_is_tty and stdout_is_tty):
        stream = "input" if not stdin_is_tty else "output"
        raise KexploreError(
            f"the {stream} is not a terminal",
            "for scripts there are: kexplore search, show, trace (--help lists them)",
            Category.USAGE,
        )
    kind = environment.get("TERM", "")
    if kind in _CANNOT_MOVE_CURSOR:
        raise KexploreError(
            f"TERM={kind} cannot show a full-screen program" if kind else "TERM is not set",
            "set TERM to what your terminal is, such as xterm-256color; kexplore search, show and trace need none",
            Category.FAILED,
        )
