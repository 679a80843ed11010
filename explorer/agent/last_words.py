"""What the agent says when it ends, though its peer may be gone or its memory used up."""

from __future__ import annotations

import contextlib
import mmap
import os

from explorer.agent.connection import Connection, StreamEnd
from explorer.agent.protocol import Message

_PATIENCE = 2.0
"""Seconds that a peer gets to take the last messages."""
_RESERVE = 4 << 20
"""Bytes of address space, never touched, that are given back when the agent fails: memory may be what ran out, and it
takes some to disarm and to say so."""


class LastWords:
    """Says them.

    Args:
        connection: To the explorer.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reserve = mmap.mmap(-1, _RESERVE)

    def say(self, message: Message) -> None:
        """Send a message and all that waits to be sent, if somebody takes it; there is nobody else to tell."""
        with contextlib.suppress(StreamEnd):
            self._connection.send(message)
            self._connection.finish(_PATIENCE)

    def problem(self, message: str, hint: str) -> None:
        """Tell why this is the end."""
        self.say({"op": "problem", "message": message, "hint": hint})

    def fault(self, message: str) -> None:
        """Tell of a fault of one side."""
        self.problem(message, "everything is disarmed; this is a bug in kexplore, please report it")

    def failure(self, error: Exception) -> None:
        """Tell of an error that nothing here knows how to answer."""
        self._reserve.close()
        self.fault(f"the agent failed: {type(error).__name__}: {error} ({_origin(error)})")


def _origin(error: Exception) -> str:
    """The file and line where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
