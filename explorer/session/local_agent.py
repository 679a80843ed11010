"""Starting this machine's agent, as early as can be: this module imports nothing that takes time.

While the explorer imports Textual, the agent reads what was asked for ahead, on the other core.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys

from explorer.agent import protocol
from explorer.errors import AgentError

AGENT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "agent", "__main__.py")
ASKED_AHEAD = ("kallsyms", "btf:vmlinux")
"""The two large facts, in the order in which they are used."""
PIPE_SIZES = (16 << 20, 1 << 20)
"""Bytes that the agent may write before anybody reads: all that was asked for ahead, or the most that needs no
privilege (fs.pipe-max-size)."""

# What sudo may hand to the agent: enough to run, nothing that steers Python or the loader.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TERM")
# Where bcc is, which is code: for an agent that may do no more than who set it.
_BCC_PLACES = ("KEXPLORE_BCC", "BCC_KERNEL_SOURCE")


def agent_command() -> list[str]:
    """How to start an agent with this interpreter: isolated from environment, site-packages and user files."""
    return [sys.executable, "-I", "-S", "-B", AGENT]


class LocalAgent:
    """An agent in a child process, with the caller's privilege or through sudo.

    Attributes:
        process: The child; its stdin and stdout are the stream of the protocol.
        asked: The facts asked for ahead, with the numbers of the requests.
    """

    def __init__(self, *, sudo: bool = False, ahead: tuple[str, ...] = ASKED_AHEAD) -> None:
        """Start it and ask for facts, without waiting.

        Raises:
            AgentError: It cannot be started.
        """
        # In the background once it has asked: with use_pty, as Debian sets it, sudo would go on reading the terminal,
        # take half of the keys that are meant for the program, and put the terminal's modes back when it ends.
        command = ["sudo", "-b", "--", *agent_command()] if sudo else agent_command()
        passed = _ENVIRONMENT if sudo else (*_ENVIRONMENT, *_BCC_PLACES)
        environment = {name: os.environ[name] for name in passed if name in os.environ}
        try:
            # A session of its own, so that the terminal's signals do not reach it; sudo needs the terminal to ask.
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0,
                start_new_session=not sudo,
            )  # fmt: skip
        except OSError as error:
            raise AgentError(f"cannot start {command[0]}: {error.strerror}") from None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        for size in PIPE_SIZES:
            with contextlib.suppress(OSError):  # over the limit, for a user or a system: the next, or as it is
                fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, size)
                break
        self.asked = {name: number for number, name in enumerate(ahead, start=1)}
        with contextlib.suppress(BrokenPipeError):  # its stream has ended then, and the client says so
            for name, number in self.asked.items():
                self.process.stdin.write(protocol.encode(protocol.fact_request(number, name)))
