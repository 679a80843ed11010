"""The kernel that is looked at, and how to reach its agent: this machine's, or the lab's."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from explorer.errors import AgentError, TargetLostError
from explorer.session.agent_client import AgentClient, Listener
from explorer.session.gated_command import GatedCommand
from explorer.session.local_agent import ASKED_AHEAD, LocalAgent, agent_command
from explorer.session.running_command import RunningCommand
from explorer.session.streams import streams_of
from symbols.errors import Category, KexploreError

if TYPE_CHECKING:
    from explorer.session.command_relay import CommandRelay

Progress = Callable[[str], None]

AGENT_PORT = "kexplore.agent"
COMMANDS_PORT = "kexplore.commands"
FAREWELL_TIMEOUT = 15.0
"""Seconds that the agent is given to disarm and end."""


class Target(abc.ABC):
    """A kernel that can be looked at.

    Attributes:
        title: What the status line calls it.
        summary: What it is, in a few words, for whoever chooses between targets.
        needs_terminal: Whether reaching it may ask on the terminal, for a password.
        outlives_us: Whether an agent that has been left goes on with what it has to do.
        debuginfo: Where its debug information is, when the user said so; None: in the usual places.
    """

    title: str
    summary: str
    needs_terminal = False
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

    async def run(self, argv: Sequence[str]) -> RunningCommand:
        """Start a command on that kernel, behind its gate.

        Raises:
            KexploreError: There is no way to, or it cannot be started.
        """
        raise KexploreError(
            f"no command can be run on the {self.title}", "t: look at another kernel", Category.KERNEL_CANNOT
        )

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
        reader, writer = await streams_of(self._agent.process.stdout, self._agent.process.stdin)
        client = self._client = AgentClient(reader, writer, listener, self._agent.asked)
        if self._sudo:
            try:
                await client.hello()
            except TargetLostError:
                raise AgentError(
                    "sudo did not start the agent", "run kexplore as root instead", Category.NOT_PERMITTED
                ) from None
        return client

    async def run(self, argv: Sequence[str]) -> RunningCommand:
        """Start it here, with the explorer's rights."""
        return await GatedCommand.piped(argv)

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
        self._relay: CommandRelay | None = None
        self._bcc = bcc

    async def connect(self, listener: Listener, progress: Progress) -> AgentClient:
        """Fetch and boot the lab's kernel, with progress, and reach the agent in the guest."""
        from explorer.lab.machine import Lab
        from explorer.session.command_relay import CommandRelay
        from explorer.session.guest_commands import guest_command

        agent = [*agent_command(), "--port", f"/dev/virtio-ports/{AGENT_PORT}"]
        commands = guest_command(f"/dev/virtio-ports/{COMMANDS_PORT}")
        script = f'({WORKLOAD}) >/dev/null 2>&1 & {shlex.join(commands)} </dev/null & exec "$@"'
        ports = [AGENT_PORT, COMMANDS_PORT]
        lab = await Lab.boot(["/bin/sh", "-c", script, "sh", *agent], progress=progress, ports=ports, bcc=self._bcc)
        self._lab = lab
        self._relay = CommandRelay(*await lab.port(COMMANDS_PORT))
        reader, writer = await lab.port(AGENT_PORT)
        progress("starting the agent in the guest")
        return AgentClient(reader, writer, listener)

    async def run(self, argv: Sequence[str]) -> RunningCommand:
        """Start it in the guest, as root, with this machine's files to read."""
        if self._relay is None:
            raise KexploreError("the lab is not up", "t: boot it", Category.KERNEL_CANNOT)
        return await self._relay.run(argv)

    async def close(self) -> None:
        """Power the guest off."""
        if self._relay is not None:
            await self._relay.close()
            self._relay = None
        if self._lab is None:
            return
        from explorer.lab.machine import Lab

        lab, self._lab = self._lab, None
        assert isinstance(lab, Lab)
        await lab.close()
