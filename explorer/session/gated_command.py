"""A command that waits at the gate until its probes are armed, so that it is seen from its first instruction."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence

from explorer.errors import ExitCode
from symbols.errors import Category, KexploreError

_NOT_FOUND = 127
_NOT_RUNNABLE = 126


class GatedCommand:
    """A child process that runs ``argv`` once ``open_gate`` is called.

    It is forked at once, so that it keeps the privilege that its parent gives up. Its stdout is the parent's stderr:
    stdout belongs to the events.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        """Fork the child.

        Raises:
            KexploreError: There is no command.
        """
        if not argv:
            raise KexploreError("no command after --", "kexplore trace PROBE... -- COMMAND ARG...", Category.USAGE)
        gate_read, self._gate = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _child(list(argv), gate_read, self._gate)
        os.close(gate_read)
        self._ended = False

    def open_gate(self) -> None:
        """Let the command run."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._gate, b"g")
        os.close(self._gate)
        self._gate = -1

    def wait(self) -> int:
        """Wait for its end; returns its exit code as a shell gives it (128 + the signal that ended it)."""
        _, status = os.waitpid(self.pid, 0)
        self._ended = True
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def abandon(self) -> None:
        """Close the gate for good: a command that has not begun ends without running."""
        if self._gate >= 0:
            os.close(self._gate)
            self._gate = -1
            self.wait()


def _child(argv: list[str], gate_read: int, gate_write: int) -> None:
    """The child's side; never returns."""
    os.close(gate_write)
    code = int(ExitCode.FAILED)
    try:
        if os.read(gate_read, 1):
            os.dup2(2, 1)
            for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, not by whoever called us
                signal.signal(ignored, signal.SIG_DFL)
            os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"kexplore: {argv[0]}: {error.strerror}\n".encode("utf-8", "replace"))
        code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUNNABLE
    finally:
        os._exit(code)
