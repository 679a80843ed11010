"""The kernel that is looked at, and how to reach its agent: this machine's, or the lab's."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path

from explorer.errors import AgentError, TargetLostError
from explorer.session.agent_client import AgentClient, Listener
from explorer.session.local_agent import ASKED_AHEAD, LocalAgent, agent_command
from symbols.errors import Category

Progress = Callable[[str], None]

AGENT_PORT = "kexplore.agent"
STREAM_LIMIT = 4 << 20
"""Bytes that asyncio buffers from the agent before it stops reading."""

FAREWELL_TIMEOUT = 15.0
"""Seconds that the agent is given to disarm and end."""


class Target(abc.ABC):
    """A kernel that can be looked at.

    Attributes:
        title: What the status line calls it.
        summary: What it is, in a few words, for whoever chooses between targets.
        needs_terminal: Whether reaching it may ask on the terminal, for a password.
        runs_commands: Whether a command that is started here runs on that kernel.
        outlives_us: Whether an agent that has been left goes on with what it has to do.
        debuginfo: Where its debug information is, when the user said so; None: in the usual places.
    """

    title: str
    summary: str
    needs_terminal = False
    runs_commands = False
    outlives_us = False
    debuginfo: Path | None = None

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
    runs_commands = True
    outlives_us = True

    def __init__(self, *, sudo: bool = False) -> None:
        self._sudo = sudo
        if sudo:
            self.title = "this machine, by sudo"
            self.summary = "its kernel, with root's rights for the agent alone"
        self.needs_terminal = sudo
        self._agent: LocalAgent | None = None
        self._client: AgentClient | None = None

    def start(self, ahead: tuple[str, ...] = ASKED_AHEAD) -> None:
        """Start the agent without waiting for it; ``connect`` does it otherwise.

        Args:
            ahead: The facts to ask it for at once.

        Raises:
            AgentError: It cannot be started.
        """
        self._agent = LocalAgent(sudo=self._sudo, ahead=ahead)

    def adopt(self, agent: LocalAgent) -> None:
        """Take an agent that was started before this module was imported."""
        self._agent = agent

    async def connect(self, listener: Listener, progress: Progress) -> AgentClient:
        """Reach the agent that was started, or start one now."""
        if self._agent is None:
            self.start()
        assert self._agent is not None
        reader, writer = await _streams(self._agent.process)
        client = self._client = AgentClient(reader, writer, listener, self._agent.asked)
        if self._sudo:
            try:
                await client.hello()
            except TargetLostError:
                raise AgentError(
                    "sudo did not start the agent", "run kexplore as root instead", Category.NOT_PERMITTED
                ) from None
        return client

    async def close(self) -> None:
        """Wait for the agent's end; it ends with its pipe, but for what it deletes without us."""
        if self._agent is None:
            return
        process, self._agent = self._agent.process, None
        if self._client is not None and self._client.deleting:
            return
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
    """A throwaway kernel in QEMU, its agent at the other end of a virtio-serial port.

    Args:
        bcc: Bring what the bpf engine needs, which is 70 MB more to fetch.
    """

    title = "lab"
    summary = "a throwaway kernel in QEMU, to try anything on"

    def __init__(self, *, bcc: bool = False) -> None:
        self._lab: object | None = None
        self._bcc = bcc

    async def connect(self, listener: Listener, progress: Progress) -> AgentClient:
        """Fetch and boot the lab's kernel, with progress, and reach the agent in the guest."""
        from explorer.lab.machine import Lab

        port = f"/dev/virtio-ports/{AGENT_PORT}"
        script = f'({WORKLOAD}) >/dev/null 2>&1 & exec "$@"'
        command = ["/bin/sh", "-c", script, "sh", *agent_command(), "--port", port]
        lab = await Lab.boot(command, progress=progress, ports=[AGENT_PORT], bcc=self._bcc)
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
