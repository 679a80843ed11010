"""What can be done with a command that was started under the probes, wherever it runs."""

from __future__ import annotations

import asyncio
import signal
from typing import Protocol


class RunningCommand(Protocol):
    """A command that waits at its gate, or runs, or has ended.

    Attributes:
        pid: The command's process, on the kernel that it runs on.
        output: What it and all that it starts write on stdout and stderr.
    """

    pid: int
    output: asyncio.StreamReader

    def open_gate(self) -> None:
        """Let it run."""

    def abandon(self) -> None:
        """Close the gate for good: a command that has not begun ends without running."""

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its process group; does nothing when nobody is left."""

    async def ended(self) -> int | None:
        """Wait for its end; its exit code as a shell gives it, or None where its kernel is gone."""

    async def gone(self) -> None:
        """Wait for the end of the command and of all that it started."""
