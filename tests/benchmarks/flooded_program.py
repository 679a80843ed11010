"""The full-screen program over a played agent that floods it: batches as often, and with as many rows, as are allowed.

It shows this machine's kernel, as if that could be probed. Run by ``tests.benchmarks.flood_screen --played``. SIGUSR1
begins the flood, SIGUSR2 ends it. As a real agent the played one is a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket

from explorer.agent.batches import TICK
from explorer.agent.protocol import Message
from explorer.commands.explore import tune
from explorer.session.agent_client import AgentClient, Listener
from explorer.session.session import ROWS_OUTSTANDING
from explorer.session.streams import STREAM_LIMIT
from explorer.session.target import Progress
from tests.agent_driver import agent
from tests.scripted_agent import ScriptedAgent, ScriptedTarget

FUNCTION = "vfs_read"
_SWITCHING = 0.02
"""Seconds that arming or disarming one of many takes, about what the lab's kernel needs."""


class FloodingAgent(ScriptedAgent):
    """An agent with one flooded probe."""

    def __init__(self) -> None:
        super().__init__()
        with agent() as real:
            for name in ("kallsyms", "btf", "btf:vmlinux"):
                self.facts[name] = real.fact(name)[0]
        names = (line.split() for line in self.facts["kallsyms"].splitlines())
        functions = {fields[2] for fields in names if len(fields) == 3 and fields[1] in b"tT"}
        self.facts["available_filter_functions"] = b"\n".join(sorted(functions)) + b"\n"
        self._flood: asyncio.Task[None] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As any scripted agent, and at the signals."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._begin)
        loop.add_signal_handler(signal.SIGUSR2, self._end)
        await super().serve(reader, writer)

    async def answer(self, message: Message) -> None:
        """As any scripted agent, and many probes in the time that a kernel would take."""
        await asyncio.sleep(_SWITCHING * len(message.get("probes", ())))
        await super().answer(message)

    def _begin(self) -> None:
        self._flood = asyncio.create_task(self._batches())

    def _end(self) -> None:
        if self._flood is not None:
            self._flood.cancel()

    async def _batches(self) -> None:
        while True:
            self.hit(FUNCTION, [1, 2, 3, 4], times=ROWS_OUTSTANDING)
            await asyncio.sleep(TICK)


class ForkedTarget(ScriptedTarget):
    """Its agent is at the other end of a socket."""

    def __init__(self, agent: ScriptedAgent, end: socket.socket) -> None:
        super().__init__(agent)
        self._end = end

    async def connect(self, listener: Listener, progress: Progress) -> AgentClient:
        """Only once."""
        return AgentClient(*await asyncio.open_connection(sock=self._end, limit=STREAM_LIMIT), listener)


async def _play(agent: ScriptedAgent, end: socket.socket) -> None:
    await agent.serve(*await asyncio.open_connection(sock=end))


def main() -> None:
    """Run it."""
    ours, theirs = socket.socketpair()
    agent = FloodingAgent()
    child = os.fork()
    if not child:
        ours.close()
        asyncio.run(_play(agent, theirs))
        os._exit(0)
    theirs.close()
    tune()
    from explorer.app import KexploreApp  # as the program does, only now

    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, frame: os.kill(child, number))
    target = ForkedTarget(agent, ours)
    KexploreApp(target, [target]).run()


if __name__ == "__main__":
    main()
