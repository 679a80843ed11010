"""What the kernel says of its own tracing, to be compared byte for byte before and after."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

TRACEFS = Path("/sys/kernel/tracing")
DEADLINE = 180.0
"""Seconds; the lab is emulated, perhaps on a machine that does much else."""


def tracing_state() -> dict[str, str]:
    """Everything that a probe changes: definitions, instances, patched functions, armed kprobes."""
    return {
        "dynamic_events": (TRACEFS / "dynamic_events").read_text(),
        "instances": "\n".join(sorted(os.listdir(TRACEFS / "instances"))),
        "enabled_functions": (TRACEFS / "enabled_functions").read_text(),
        "kprobes": Path("/sys/kernel/debug/kprobes/list").read_text(),
    }


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a thing to be so.

    Raises:
        AssertionError: It did not come about.
    """
    end = time.monotonic() + DEADLINE
    while True:
        begin = time.monotonic()
        if condition():
            return
        assert begin < end, f"{what} did not come about in {DEADLINE:.0f} s"
        _rest(begin)


def _rest(begin: float) -> None:
    """Sleep longer than looking took since then: what is awaited needs the emulated processor, too."""
    time.sleep(0.02 + 3 * (time.monotonic() - begin))


def wait_for_state(expected: dict[str, str]) -> None:
    """Wait until the kernel is as it was, and show the difference when it does not come to that."""
    end = time.monotonic() + DEADLINE
    begin = time.monotonic()
    while (now := tracing_state()) != expected:
        if begin > end:
            assert now == expected
        _rest(begin)
        begin = time.monotonic()
