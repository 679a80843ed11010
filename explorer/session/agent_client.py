"""The explorer's end of the protocol: requests awaited, pushed messages handed on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from explorer.agent import protocol
from explorer.errors import AgentError, TargetLostError
from explorer.session.hello import CATEGORIES, Hello
from symbols.errors import Category

HELLO_TIMEOUT = 30.0
"""Seconds; an emulated guest needs a few to start its Python."""

Listener = Callable[[protocol.Message], None]
Answered = Callable[[protocol.Message], None]
Observer = Callable[[str, protocol.Message, bytes], None]
"""Sees all that is said: who says it (``agent``, ``explorer``), the message, its blob."""


class AgentClient:
    """A conversation with one agent.

    Args:
        reader: Bytes from the agent.
        writer: Bytes to it.
        listener: Called with each ``batch`` and ``problem``, and with ``{"op": "lost", "message"}`` when the stream
            ends before ``close``.
        asked: Facts that were asked for on this stream before by name, with the numbers of their requests.

    Attributes:
        observer: Sees every message from now on; None: nobody does.
        deleting: After ``close``: how many disabled definitions the agent goes on to delete without us.
    """

    observer: Observer | None = None
    deleting = 0

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        listener: Listener,
        asked: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._listener = listener
        self._asked = dict(asked)
        self._numbers = itertools.count(max(asked.values(), default=0) + 1)
        loop = asyncio.get_running_loop()
        self._answers: dict[int, asyncio.Future[protocol.Message]] = {n: loop.create_future() for n in asked.values()}
        self._chunks: dict[int, list[bytes]] = {}
        self._watchers: dict[int, Callable[[bytes], None]] = {}
        self._answered: dict[int, Answered] = {}
        self._hello: asyncio.Future[Hello] = loop.create_future()
        self._introduced = False
        self._closing = False
        self._lost: TargetLostError | None = None
        self._pump = asyncio.create_task(self._read(), name="agent stream")

    def asked_early(self) -> list[protocol.Message]:
        """The requests that were sent before there was a client, and whose answers nobody has taken yet."""
        return [protocol.fact_request(number, name) for name, number in self._asked.items()]

    async def hello(self) -> Hello:
        """The agent's first message; ours is sent.

        Raises:
            AgentError: It does not answer, or is another version.
        """
        if not self._introduced:
            self._introduced = True
            with contextlib.suppress(TargetLostError):  # what it said before it went tells why
                await self._send({"op": "hello", "version": protocol.VERSION})
        try:
            return await asyncio.wait_for(asyncio.shield(self._hello), HELLO_TIMEOUT)
        except TimeoutError:
            raise AgentError(f"the agent did not answer within {HELLO_TIMEOUT:.0f} s") from None

    async def request(self, op: str, *, answered: Answered | None = None, **members: Any) -> protocol.Message:
        """Send one request and wait for its answer.

        Args:
            op: What is asked for.
            answered: Called with the answer before any message that follows it is looked at; whoever awaits runs later.
            members: The rest of the request.

        Raises:
            AgentError: The agent refused it; message and hint are the agent's.
            TargetLostError: The stream ended.
        """
        if self._lost is not None:
            raise self._lost
        number = next(self._numbers)
        if answered is not None:
            self._answered[number] = answered
        await self._ask({"op": op, "id": number, **members})
        return await self._answer(number)

    async def fact(self, name: str, *, beginning: Callable[[bytes], None] | None = None) -> bytes:
        """A named fact, whole.

        Args:
            name: One of those in ``explorer.agent.facts``.
            beginning: Called with the first chunk as soon as it is there.

        Raises:
            AgentError: The kernel does not have it or does not show it.
        """
        number = self._asked.pop(name, None)
        if number is None:
            number = next(self._numbers)
            await self._ask(protocol.fact_request(number, name))
        if beginning is not None:
            if chunks := self._chunks.get(number):
                beginning(chunks[0])
            else:
                self._watchers[number] = beginning
        answer = await self._answer(number)
        data: bytes = answer["data"]
        return await asyncio.to_thread(zlib.decompress, data) if answer["encoding"] == "zlib" else data

    async def _ask(self, request: protocol.Message) -> None:
        number = request["id"]
        self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(request)
        except TargetLostError:
            self._answers.pop(number).cancel()
            raise

    async def _answer(self, number: int) -> protocol.Message:
        try:
            return await self._answers[number]
        finally:
            self._answers.pop(number, None)
            self._chunks.pop(number, None)
            self._watchers.pop(number, None)
            self._answered.pop(number, None)

    async def credit(self, rows: int) -> None:
        """Allow the agent to send this many more rows."""
        if self._lost is None:
            await self._send({"op": "credit", "rows": rows})

    async def close(self, patience: float = 10.0) -> list[str]:
        """Tell the agent to disarm and end, and wait for it.

        Args:
            patience: Seconds to wait for its farewell.

        Returns:
            What the agent could not remove; empty when all is clean.
        """
        left: list[str] = []
        if self._lost is None:
            self._closing = True
            with contextlib.suppress(AgentError, TimeoutError):
                answer = await asyncio.wait_for(self.request("quit"), patience)
                left, self.deleting = list(answer.get("left", [])), int(answer.get("deleting", 0))
        self._closing = True
        self._writer.close()
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            await asyncio.wait_for(self._pump, patience)
        return left

    async def _send(self, message: protocol.Message) -> None:
        if self.observer is not None:
            self.observer("explorer", message, b"")
        try:
            self._writer.write(protocol.encode(message))
            await self._writer.drain()
        except (ConnectionError, RuntimeError) as error:
            raise TargetLostError(f"the agent is gone: {error}") from None

    async def _read(self) -> None:
        decoder = protocol.Decoder(protocol.MAX_ANSWER, protocol.MAX_ANSWER)
        cause = "its stream ended"
        try:
            while data := await self._reader.read(1 << 20):
                for message, blob in decoder.feed(data):
                    self._dispatch(message, blob)
        except (protocol.ProtocolError, ConnectionError) as error:
            cause = str(error)
        except AgentError as error:
            cause = error.message
            if not self._hello.done():
                self._hello.set_exception(error)
        self._end(cause)

    def _end(self, cause: str) -> None:
        self._lost = TargetLostError(f"the agent is gone: {cause}")
        if not self._hello.done():
            self._hello.set_exception(self._lost)
            self._hello.exception()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(self._lost)
                answer.exception()  # seen: nobody may be waiting for what was asked for ahead
        if not self._closing:
            self._listener({"op": "lost", "message": self._lost.message})

    def _dispatch(self, message: protocol.Message, blob: bytes) -> None:
        if self.observer is not None:
            self.observer("agent", message, blob)
        if not self._hello.done():
            self._hello.set_result(Hello.from_message(message))
            return
        number = message.get("id")
        if number is None:
            self._listener(message)
            return
        answer = self._answers.get(number)
        if answer is None or answer.done():
            return
        if message["op"] == "error":
            answer.set_exception(error_of(message))
        elif message["op"] == "fact":
            chunks = self._chunks.setdefault(number, [])
            chunks.append(blob)
            if len(chunks) == 1 and (watcher := self._watchers.pop(number, None)):
                watcher(blob)
            if message["last"]:
                answer.set_result({**message, "data": b"".join(chunks)})
        else:
            if (answered := self._answered.pop(number, None)) is not None:
                answered(message)
            answer.set_result(message)


def error_of(refusal: protocol.Message) -> AgentError:
    """What the agent refused with: ``code``, ``message`` and ``hint``."""
    code = refusal.get("code", "")
    error = AgentError(refusal.get("message", ""), refusal.get("hint", ""), CATEGORIES.get(code, Category.FAILED))
    error.code = code
    return error
