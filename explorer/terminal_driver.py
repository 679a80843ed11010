"""Textual's driver for a terminal that may vanish: a closed laptop, a dropped SSH line.

Textual writes from a thread of its own through a bounded queue. A write to a terminal that was hung up raises, the
thread dies, the queue fills, and whoever draws next waits for ever - also the one who was about to disarm. And it reads
nothing for ever, without minding, from a terminal that was hung up: SIGHUP comes only where it is the controlling one.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from typing import TYPE_CHECKING, Any, TextIO, cast

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from textual.app import App


class LastingStream:
    """A stream to a terminal that writes nowhere once the terminal is gone.

    Args:
        stream: The terminal; its file descriptor is made to lead nowhere when a write fails, so that what is still
            buffered can be flushed.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop what nobody can see any more."""
        try:
            return self._stream.write(text)
        except OSError:
            self._let_go()
            return len(text)

    def flush(self) -> None:
        """Flush, or drop."""
        try:
            self._stream.flush()
        except OSError:
            self._let_go()

    def fileno(self) -> int:
        """The file descriptor of the terminal."""
        return self._stream.fileno()

    def _let_go(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


class TerminalDriver(LinuxDriver):
    """The driver that the program runs with: a terminal that is hung up ends it, whatever else it waits for."""

    def __init__(
        self, app: App[object], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._file = cast(Any, LastingStream(cast(TextIO, self._file)))

    def run_input_thread(self) -> None:
        """Read keys until the end, or until there is no terminal to read from."""
        threading.Thread(target=self._watch, name="terminal watch", daemon=True).start()
        with contextlib.suppress(OSError):  # hung up between being told of a key and reading it: the watch sees it too
            super().run_input_thread()

    def _watch(self) -> None:
        """Wait for the terminal to be hung up, then leave."""
        poll = select.poll()
        poll.register(self.fileno, 0)  # hang-ups and errors are always told
        while not self.exit_event.is_set():
            if poll.poll(_WATCH_MILLISECONDS):
                self.exit_event.set()  # or the other thread would read nothing as fast as it can
                last_resort = threading.Timer(_LEAVING_SECONDS, os._exit, [128 + signal.SIGHUP])
                last_resort.daemon = True
                last_resort.start()
                self._app.call_later(self._app.action_quit)


_WATCH_MILLISECONDS = 500
"""How often the watch looks whether it is still wanted."""
_LEAVING_SECONDS = 15.0
"""How long leaving may take when nobody is there any more: then the process just ends, and its agent, which outlives it
for as long as disarming takes, sees the end of its pipe."""
