"""A process that outlives the agent: when the agent is killed, it removes what the agent left in the kernel.

``kill -9``, the kernel's own killer when memory is short, or a crash of Python leave the agent no moment to disarm
anything. So before it touches the kernel it forks this process, which does nothing but wait for the end of a pipe. It
is in a session of its own, takes no signals that can be refused, and asks not to be killed for memory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from typing import Callable, Optional

from explorer.agent import cleanup, session_name, tracefs_place
from explorer.agent.failure import RequestError
from explorer.agent.protocol import Code
from explorer.agent.tracefs import Tracefs

_PATIENCE = 30.0
"""Seconds in which a dying agent must have let go of its files; until then its instance is in use."""
_RETRY = 0.05
_NAME = "kexplore-heir"
"""As ``ps -o comm`` shows it; up to 15 characters."""
_ALL_IS_CLEAN = b"."
_REFUSED_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def of_session(root: str) -> Optional[Survivor]:
    """Start one that removes what this process leaves; None where there is nothing that it could change.

    Args:
        root: The directory that the machine's file tree begins at.

    Raises:
        RequestError: It cannot be started; then nothing should be armed.
    """
    if tracefs_place.find(root) is None:
        return None
    names = session_name.own(root), session_name.calls(root)

    def remove() -> bool:
        try:
            tracefs = Tracefs(root)
            return not [thing for name in names for thing in cleanup.remove(tracefs, name)]
        except OSError:  # the lists, for a moment; it is asked again
            return False

    try:
        return Survivor(remove)
    except OSError as error:
        raise RequestError(
            Code.FAILED, f"cannot start the process that would clean up after a crash: {error.strerror}"
        ) from None


class Survivor:
    """The process, waiting.

    Args:
        remove: Removes what the agent has left and tells whether all of it is gone; called in the other process, again
            and again until it is.

    Raises:
        OSError: It could not be started.
    """

    def __init__(self, remove: Callable[[], bool]) -> None:
        self._ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            _wait_and_remove(theirs, remove)
        theirs.close()
        self._ours.recv(1)  # from here on none of its calls can be a probe's hit

    def dismiss(self) -> None:
        """Nothing is left: it has nothing to do any more."""
        with contextlib.suppress(OSError):  # killed before us: it needs no telling
            self._ours.send(_ALL_IS_CLEAN)
        self._ours.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _wait_and_remove(agent: socket.socket, remove: Callable[[], bool]) -> None:
    """The other process, from its first instruction to its last; it never returns into the agent's code."""
    try:
        signal.set_wakeup_fd(-1)
        for number in _REFUSED_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        with contextlib.suppress(PermissionError):
            os.setsid()
        _keep_only(agent.fileno())
        _say("comm", _NAME)
        _say("oom_score_adj", "-1000")
        agent.send(b"r")
        if agent.recv(1) == _ALL_IS_CLEAN:
            return
        end = time.monotonic() + _PATIENCE
        while not remove() and time.monotonic() < end:
            time.sleep(_RETRY)
    finally:
        os._exit(0)


def _keep_only(descriptor: int) -> None:
    """Close everything else: the agent's pipes must end with the agent."""
    limit = os.sysconf("SC_OPEN_MAX")
    os.closerange(0, descriptor)
    os.closerange(descriptor + 1, limit if limit > 0 else 1 << 16)


def _say(name: str, text: str) -> None:
    # Not allowed, or no such thing here: it was a wish only.
    with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w", encoding="ascii") as file:
        file.write(text)
