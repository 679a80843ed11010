"""The kernel that is looked at, and how to reach its agent: this machine's, or the lab's."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import fcntl
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

from explorer.errors import AgentError, TargetLostError
from explorer.session.agent_client import AgentClient, Listener, ask
from symbols.errors import Category

Progress = Callable[[str], None]

AGENT = pathlib.Path(__file__).resolve().parents[1] / "agent" / "__main__.py"
AGENT_PORT = "kexplore.agent"
STREAM_LIMIT = 4 << 20
"""Bytes that asyncio buffers from the agent before it stops reading."""

PIPE_SIZE = 1 << 20
"""Bytes that the agent may write before anybody reads: the largest that needs no privilege (fs.pipe-max-size)."""
FAREWELL_TIMEOUT = 15.0
"""Seconds that the agent is given to disarm and end."""

# What sudo may hand to the agent: enough to run, nothing that steers Python or the loader.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TERM")


def agent_command() -> list[str]:
    """How to start an agent with this interpreter: isolated from environment, site-packages and user files."""
    return [sys.executable, "-I", "-S", "-B", str(AGENT)]


class Target(abc.ABC):
    """A kernel that can be looked at.

    Attributes:
        title: What the status line calls it.
        summary: What it is, in a few words, for whoever chooses between targets.
        needs_terminal: Whether reaching it may ask on the terminal, for a password.
    """

    title: str
    summary: str
    needs_terminal = False

    @abc.abstractmethod
    async def connect(self, listener: Listener, progress: Progress) -> AgentClient:
        """Start or reach the agent.

        Args:
            listener: Takes what the agent says unasked.
            progress: Takes a line for each step that a person may have to wait for.

        Raises:
            KexploreError: It could not be reached, with the cause and what to do.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Release what ``connect`` started; the client is closed before. Does nothing the second time."""


class LocalTarget(Target):
    """This machine: the agent is a child process, with the caller's privilege or through sudo.

    Args:
        sudo: Start the agent by ``sudo``, which may ask for a password on the terminal.
    """

    title = "this machine"
    summary = "the kernel that runs here"

    def __init__(self, *, sudo: bool = False) -> None:
        self._sudo = sudo
        if sudo:
            self.title = "this machine, by sudo"
            self.summary = "its kernel, with root's rights for the agent alone"
        self.needs_terminal = sudo
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: dict[str, int] = {}

    def start(self) -> None:
        """Start the agent and ask for the list of names, without waiting for either; ``connect`` does it otherwise.

        Called before the heavy imports: the kernel needs some 60 ms to write its list, and the other core has time.

        Raises:
            AgentError: It cannot be started.
        """
        command = agent_command()
        if self._sudo:
            command = ["sudo", "--", *command]
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        try:
            # A session of its own, so that the terminal's signals do not reach it; sudo needs the terminal to ask.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0,
                start_new_session=not self._sudo,
            )  # fmt: skip
        except OSError as error:
            raise AgentError(f"cannot start {command[0]}: {error.strerror}") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        requests, self._asked = ask(["kallsyms"])
        with contextlib.suppress(BrokenPipeError):  # its stream has ended then, and the client says so
            self._process.stdin.write(requests)

    async def connect(self, listener: Listener, progress: Progress) -> AgentClient:
        """Reach the agent that ``start`` started, or start one now."""
        if self._process is None:
            self.start()
        assert self._process is not None
        reader, writer = await _streams(self._process)
        client = AgentClient(reader, writer, listener, self._asked)
        if self._sudo:
            try:
                await client.hello()
            except TargetLostError:
                raise AgentError(
                    "sudo did not start the agent", "run kexplore as root instead", Category.NOT_PERMITTED
                ) from None
        return client

    async def close(self) -> None:
        """Wait for the agent's end; it ends with its pipe."""
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            await asyncio.to_thread(process.wait, FAREWELL_TIMEOUT)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                process.terminate()


async def _streams(process: subprocess.Popen[bytes]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=STREAM_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), process.stdout)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, process.stdin)
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)


WORKLOAD = "while LC_ALL=C sleep 1; do LC_ALL=C cat /etc/passwd /nonexistent; done"
"""What the lab's guest does all the time, so that there is something to see."""


class LabTarget(Target):
    """A throwaway kernel in QEMU, its agent at the other end of a virtio-serial port."""

    title = "lab"
    summary = "a throwaway kernel in QEMU, to try anything on"

    def __init__(self) -> None:
        self._lab: object | None = None

    async def connect(self, listener: Listener, progress: Progress) -> AgentClient:
        """Fetch and boot the lab's kernel, with progress, and reach the agent in the guest."""
        from explorer.lab.machine import Lab

        port = f"/dev/virtio-ports/{AGENT_PORT}"
        script = f'({WORKLOAD}) >/dev/null 2>&1 & exec "$@"'
        command = ["/bin/sh", "-c", script, "sh", *agent_command(), "--port", port]
        lab = await Lab.boot(command, progress=progress, ports=[AGENT_PORT])
        self._lab = lab
        reader, writer = await lab.port(AGENT_PORT)
        progress("starting the agent in the guest")
        return AgentClient(reader, writer, listener)

    async def close(self) -> None:
        """Power the guest off."""
        if self._lab is None:
            return
        from explorer.lab.machine import Lab

        lab, self._lab = self._lab, None
        assert isinstance(lab, Lab)
        await lab.close()
