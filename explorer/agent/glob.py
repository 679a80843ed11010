r"""Patterns with ``* ? [a-z] [!a-z]`` and ``\`` over bytes, as the kernel's event filters match them (lib/glob.c)."""

from __future__ import annotations

from typing import Optional, Tuple

_STAR, _ANY, _OPEN, _ESCAPE = b"*?[\\"
_CLOSE = ord("]")


def glob_match(pattern: bytes, text: bytes) -> bool:
    """Whether the whole of ``text`` is what ``pattern`` describes; ``*`` crosses slashes.

    At most len(pattern) * len(text) steps: only the last ``*`` is ever tried again.
    """
    at = place = 0
    star: Optional[int] = None
    resume = 0
    while place < len(text):
        if at < len(pattern) and pattern[at] == _STAR:
            star, resume = at, place
            at += 1
            continue
        following = _step(pattern, at, text[place])
        if following is not None:
            at, place = following, place + 1
        elif star is not None:
            resume += 1
            at, place = star + 1, resume
        else:
            return False
    return all(byte == _STAR for byte in pattern[at:])


def _step(pattern: bytes, at: int, byte: int) -> Optional[int]:
    """Where the pattern goes on when its element at ``at`` takes this byte; None when it does not."""
    if at == len(pattern):
        return None
    element = pattern[at]
    if element == _ANY:
        return at + 1
    if element == _OPEN:
        found = _in_class(pattern, at, byte)
        if found is not None:  # else nothing closes it, and it stands for itself
            return found[1] if found[0] else None
    if element == _ESCAPE and at + 1 < len(pattern):
        return at + 2 if pattern[at + 1] == byte else None
    return at + 1 if element == byte else None


def _in_class(pattern: bytes, at: int, byte: int) -> Optional[Tuple[bool, int]]:
    """Whether a class holds the byte, and where the pattern goes on behind it; None when nothing closes it."""
    at += 1
    inverted = pattern[at : at + 1] == b"!"
    at += inverted
    first, held = at, False
    while at < len(pattern):
        if pattern[at] == _CLOSE and at > first:
            return held is not inverted, at + 1
        low = high = pattern[at]
        at += 1
        if pattern[at : at + 1] == b"-" and at + 1 < len(pattern) and pattern[at + 1] != _CLOSE:
            high = pattern[at + 1]
            at += 2
        held = held or low <= byte <= high
    return None
