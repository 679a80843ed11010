"""Keeps Textual's strips out of their own caches.

A strip that is not cut (most are not) is kept by Textual in the strip's own cache of cuts: a cycle, which only the
garbage collector can free. That was all garbage that the program makes, thousands of objects a second while much is
drawn, and stops of 30 ms to find it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.strip import Strip

_divide = Strip.divide


def mend() -> None:
    """From now on a strip that is not cut is not kept in its own cache."""
    Strip.divide = divide  # type: ignore[method-assign,assignment]


def divide(strip: Strip, cuts: Iterable[int]) -> Sequence[Strip]:
    """As ``Strip.divide``."""
    cuts, length = list(cuts), strip.cell_length
    if [cut for cut in cuts if cut <= length] == [length]:
        return [strip]
    return _divide(strip, cuts)
