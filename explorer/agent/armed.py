"""What became of a probe that was to be armed."""

from __future__ import annotations

from typing import NamedTuple


class Armed(NamedTuple):
    """A probe that is armed.

    Attributes:
        probe: Its number.
        event: Its event in tracefs; "" where it has none.
        definition: What the kernel was asked for.
        engine: "tracefs" or "bpf".
        mechanism: "kprobe" or "fprobe".
        cause: Why this engine, or else this mechanism.
    """

    probe: int
    event: str
    definition: str
    engine: str
    mechanism: str
    cause: str
