"""Keeps off the screen what C code prints on standard error, bcc's compiler above all, and gives it back as text."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import Iterator

_ERROR = re.compile(r"^.*\b(?:fatal )?error: .*$", re.MULTILINE)
_SUMMARY = "processed "
"""Begins the last line of the verifier's log (print_verification_stats in kernel/bpf/verifier.c)."""


class Printed:
    """What was printed.

    Attributes:
        text: All of it; empty until the block of ``quiet`` has been left.
    """

    def __init__(self) -> None:
        self.text = ""

    @property
    def first_error(self) -> str:
        """The line that tells most; "" when nothing was printed.

        That of a compiler's first error; else the last one, which of the kernel's verifier is its reason.
        """
        found = _ERROR.search(self.text)
        if found:
            return found[0].strip()
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return next((line for line in reversed(lines) if not line.startswith(_SUMMARY)), "")


@contextlib.contextmanager
def quiet() -> Iterator[Printed]:
    """Lead descriptor 2 into memory inside the block; of the whole process, so that other threads are silent, too."""
    printed = Printed()
    _flush()
    memory = os.memfd_create("printed", os.MFD_CLOEXEC)
    screen = os.dup(2)
    os.dup2(memory, 2)
    try:
        yield printed
    finally:
        _flush()
        os.dup2(screen, 2)
        os.close(screen)
        os.lseek(memory, 0, os.SEEK_SET)
        with os.fdopen(memory, "rb") as file:
            printed.text = file.read().decode("utf-8", "replace")


def _flush() -> None:
    if sys.stderr is not None:  # Python had no descriptor 2 when it started
        sys.stderr.flush()
