"""Run as a program in the lab's guest: starts commands there for the explorer at the other end of a virtio port.

They speak in frames of the agent's protocol, but in words of their own; ``id`` is the explorer's number of a command:

* to the guest: ``run {id, argv}``, ``open {id}`` and ``abandon {id}`` (its gate), ``signal {id, signal}``;
* from the guest: ``started {id, pid}`` or ``refused {id, message, hint}``, then ``output {id}`` with a blob,
  ``ended {id, code}``, and ``gone {id}`` when all that it started has ended and all that this wrote has been sent.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

if __name__ == "__main__":  # started by path and isolated: nothing but this says where the project is
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))))

from explorer.agent import protocol
from explorer.agent.connection import Connection
from explorer.agent.protocol import Message
from explorer.session.gated_command import GatedCommand
from explorer.session.streams import streams_of
from symbols.errors import KexploreError

READ_SIZE = 1 << 15
"""Bytes of output that are sent at once, at most."""


def guest_command(port: str) -> list[str]:
    """How to start it on a port, with this interpreter."""
    return [sys.executable, "-I", "-S", "-B", os.path.abspath(__file__), port]


class _Guest:
    """Its commands, by number, and the stream to the explorer."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._commands: dict[int, GatedCommand] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Until the explorer is gone; what it started is not ours to end."""
        decoder = protocol.Decoder(protocol.MAX_REQUEST, 0)
        while data := await reader.read(READ_SIZE):
            for message, _ in decoder.feed(data):
                await self._take(message)

    async def _take(self, message: Message) -> None:
        number = message["id"]
        if message["op"] == "run":
            try:
                command = await GatedCommand.piped(message["argv"])
            except KexploreError as error:
                self._tell("refused", number, message=error.message, hint=error.hint)
                return
            except OSError as error:  # no descriptors, no memory
                self._tell("refused", number, message=f"cannot start a command: {error.strerror}", hint="")
                return
            self._commands[number] = command
            self._tell("started", number, pid=command.pid)
            task = asyncio.create_task(self._watch(number, command))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif (running := self._commands.get(number)) is not None:
            match message:
                case {"op": "open"}:
                    running.open_gate()
                case {"op": "abandon"}:
                    running.abandon()
                case {"op": "signal", "signal": which}:
                    running.send(signal.Signals(which))

    async def _watch(self, number: int, command: GatedCommand) -> None:
        forwarding = asyncio.create_task(self._forward(number, command.output))
        self._tell("ended", number, code=await command.ended())
        await command.gone()
        await forwarding
        del self._commands[number]
        self._tell("gone", number)

    async def _forward(self, number: int, output: asyncio.StreamReader) -> None:
        while data := await output.read(READ_SIZE):
            self._tell("output", number, data)
            await self._writer.drain()

    def _tell(self, op: str, number: int, blob: bytes = b"", **members: object) -> None:
        self._writer.write(protocol.encode({"op": op, "id": number, **members}, blob))


async def _serve(port: str) -> None:
    connection = Connection.over_port(port)
    source, sink = (os.fdopen(os.dup(connection.source), mode, buffering=0) for mode in ("rb", "wb"))
    reader, writer = await streams_of(source, sink)
    await _Guest(writer).serve(reader)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
