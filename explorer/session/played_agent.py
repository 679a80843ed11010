"""Agents that are played in this process, for kernels that are not there: the stream they speak over, and its end."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import socket
from collections.abc import Callable

from explorer.agent import protocol
from explorer.session.agent_client import AgentClient, Listener
from explorer.session.streams import STREAM_LIMIT
from explorer.session.target import Progress, Target


class PlayedAgent(abc.ABC):
    """The agent's end of a stream of the protocol.

    Args:
        reader: Requests.
        writer: Answers.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @abc.abstractmethod
    def hello(self) -> protocol.Message:
        """The first message."""

    @abc.abstractmethod
    async def answer(self, message: protocol.Message) -> None:
        """Answer a request that is special to this agent."""

    def ended(self) -> None:  # noqa: B027 - most have nothing to stop
        """The explorer is gone."""

    async def run(self) -> None:
        """Answer until the explorer goes."""
        self.send(self.hello())
        decoder = protocol.Decoder(protocol.MAX_REQUEST, 0)
        try:
            while data := await self._reader.read(1 << 16):
                for message, _ in decoder.feed(data):
                    await self._answer(message)
                await self._writer.drain()
        except ConnectionError:
            pass  # the explorer went without a word: nothing to clean up here
        finally:
            self.ended()
            self._writer.close()

    def send(self, message: protocol.Message, blob: bytes = b"") -> None:
        """Say something."""
        if not self._writer.is_closing():
            self._writer.write(protocol.encode(message, blob))

    async def drain(self) -> None:
        """Wait until the explorer has taken most of what was said."""
        await self._writer.drain()

    async def _answer(self, message: protocol.Message) -> None:
        number = message.get("id")
        match message:
            case {"op": "quit"}:
                self.send({"op": "bye", "id": number, "left": []})
                self._writer.close()
            case {"op": "hello"}:
                pass  # one program plays both sides
            case {"op": "clean"}:
                self.send({"op": "cleaned", "id": number, "removed": [], "failed": []})
            case {"op": "focus"}:
                self.send({"op": "focused", "id": number})
            case _:
                await self.answer(message)


AgentMaker = Callable[[asyncio.StreamReader, asyncio.StreamWriter], PlayedAgent]


class PlayedTarget(Target):
    """A kernel whose agent is played."""

    _playing: asyncio.Task[None] | None = None

    @abc.abstractmethod
    async def prepare(self) -> AgentMaker:
        """Read what the agent is played from.

        Raises:
            KexploreError: It cannot be read.
        """

    async def connect(self, listener: Listener, progress: Progress) -> AgentClient:
        """Play the agent, at the other end of a socket."""
        make = await self.prepare()
        ours, theirs = socket.socketpair()
        agent = make(*await asyncio.open_connection(sock=theirs, limit=STREAM_LIMIT))
        self._playing = asyncio.create_task(agent.run(), name=f"agent of {self.title}")
        return AgentClient(*await asyncio.open_connection(sock=ours, limit=STREAM_LIMIT), listener)

    async def close(self) -> None:
        """Stop playing."""
        if self._playing is not None:
            self._playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._playing
            self._playing = None
