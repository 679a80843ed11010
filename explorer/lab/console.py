"""The last words of everything that a lab consists of: for error messages."""

from __future__ import annotations

import asyncio
from collections import deque

from explorer.lab import tether
from explorer.lab.packages import Progress

_LINES = 60


class Console:
    """Keeps the last lines; those that a tether meant for the user go to the user.

    Args:
        progress: Takes lines for the user.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lines: deque[str] = deque(maxlen=_LINES)

    def __str__(self) -> str:
        return "\n".join(self._lines)

    async def follow(self, stream: asyncio.StreamReader) -> None:
        """Take what comes from a stream, to its end."""
        pending = b""
        while data := await stream.read(65536):
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                if line.startswith(tether.WARNING):
                    self._progress(_printable(line.removeprefix(tether.WARNING)))
                else:
                    self._lines.append(_printable(line))
        if pending:
            self._lines.append(_printable(pending))

    async def take_output(self, descriptor: int, data: bytes) -> None:
        """Take what a command wrote when nobody else wants it."""
        self._lines.extend(_printable(line) for line in data.splitlines())


def _printable(line: bytes) -> str:
    """The guest's words are shown in a terminal: without control characters."""
    return "".join(letter for letter in line.decode(errors="replace") if letter.isprintable() or letter == "\t")
