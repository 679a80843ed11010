"""The explorer's end of the protocol, against a peer that the test plays."""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from explorer.agent import protocol
from explorer.errors import AgentError, TargetLostError
from explorer.session.agent_client import AgentClient
from symbols.errors import Category

HELLO: dict[str, Any] = {
    "op": "hello", "version": protocol.VERSION, "pid": 1, "euid": 0, "python": "3.11",
    "kernel": {"release": "6.12", "version": "#1", "machine": "x86_64", "hostname": "h", "cpus": 2, "boot_id": "b"},
    "probing": {"can": False, "code": "kernel cannot", "cause": "CONFIG_KPROBES is not set", "hint": "try the lab"},
    "tracefs": None, "features": {}, "registers": ["di"], "leftovers": [],
}  # fmt: skip


class Peer:
    """The agent's end of a socket pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self._decoder = protocol.Decoder(protocol.MAX_REQUEST, 0)
        self._waiting: list[protocol.Message] = []
        self.introduced: list[protocol.Message] = []
        """The explorer's own hellos."""

    def send(self, message: protocol.Message, blob: bytes = b"") -> None:
        self.writer.write(protocol.encode(message, blob))

    async def next(self) -> protocol.Message:
        while not self._waiting:
            data = await self._reader.read(4096)
            assert data, "the explorer closed the stream"
            arrived = [message for message, _ in self._decoder.feed(data)]
            self.introduced += [message for message in arrived if message["op"] == "hello"]
            self._waiting += [message for message in arrived if message["op"] != "hello"]
        return self._waiting.pop(0)


@pytest.fixture
async def pair() -> AsyncIterator[tuple[AgentClient, Peer, list[protocol.Message]]]:
    ours, theirs = socket.socketpair()
    heard: list[protocol.Message] = []
    client = AgentClient(*await asyncio.open_connection(sock=ours), heard.append)
    peer = Peer(*await asyncio.open_connection(sock=theirs))
    yield client, peer, heard
    peer.writer.close()
    await client.close(patience=1)


Pair = tuple[AgentClient, Peer, list[protocol.Message]]


async def test_hello_tells_why_nothing_can_be_probed(pair: Pair) -> None:
    client, peer, _ = pair
    peer.send(HELLO)
    refusal = (await client.hello()).refusal()
    assert refusal is not None
    assert (refusal.message, refusal.hint) == ("CONFIG_KPROBES is not set", "try the lab")
    assert refusal.category is Category.KERNEL_CANNOT


async def test_another_version_is_an_error_with_both_numbers(pair: Pair) -> None:
    client, peer, _ = pair
    peer.send({**HELLO, "version": 99})
    with pytest.raises(AgentError, match=f"protocol 99.*{protocol.VERSION}"):
        await client.hello()


async def test_answers_find_their_questions_in_any_order(pair: Pair) -> None:
    client, peer, _ = pair
    peer.send(HELLO)
    first = asyncio.create_task(client.request("arm", probe={"symbol": "a"}))
    second = asyncio.create_task(client.request("arm", probe={"symbol": "b"}))
    one, two = await peer.next(), await peer.next()
    peer.send({"op": "armed", "id": two["id"], "probe": 2})
    peer.send({"op": "armed", "id": one["id"], "probe": 1})
    assert ((await first)["probe"], (await second)["probe"]) == (1, 2)


async def test_a_refusal_keeps_code_words_and_hint(pair: Pair) -> None:
    client, peer, _ = pair
    peer.send(HELLO)
    request = asyncio.create_task(client.request("arm", probe={}))
    number = (await peer.next())["id"]
    peer.send(protocol.error(number, protocol.Code.NOT_PERMITTED, "lockdown", "reboot"))
    with pytest.raises(AgentError) as caught:
        await request
    assert (caught.value.message, caught.value.hint) == ("lockdown", "reboot")
    assert caught.value.code == "not permitted"
    assert caught.value.category is Category.NOT_PERMITTED


@pytest.mark.parametrize("encoding", ["raw", "zlib"])
async def test_a_fact_is_put_together_from_its_chunks(pair: Pair, encoding: str) -> None:
    client, peer, _ = pair
    peer.send(HELLO)
    beginnings: list[bytes] = []
    request = asyncio.create_task(client.fact("kallsyms", beginning=beginnings.append))
    number = (await peer.next())["id"]
    data = b"ffffffff81000000 T _text\n" * 1000
    sent = zlib.compress(data) if encoding == "zlib" else data
    half = len(sent) // 2
    peer.send({"op": "fact", "id": number, "encoding": encoding, "last": False}, sent[:half])
    peer.send({"op": "fact", "id": number, "encoding": encoding, "last": True}, sent[half:])
    assert await request == data
    assert beginnings == [sent[:half]]


async def test_a_fact_asked_for_before_there_was_a_loop_is_not_asked_for_twice() -> None:
    ours, theirs = socket.socketpair()
    asked = {"kallsyms": 1}
    ours.send(protocol.encode(protocol.fact_request(1, "kallsyms")))
    peer = Peer(*await asyncio.open_connection(sock=theirs))
    number = (await peer.next())["id"]
    peer.send(HELLO)
    peer.send({"op": "fact", "id": number, "encoding": "raw", "last": True}, b"names")
    client = AgentClient(*await asyncio.open_connection(sock=ours), lambda message: None, asked)
    await client.hello()
    assert await client.fact("kallsyms") == b"names"
    other = asyncio.create_task(client.fact("kallsyms"))
    assert (await peer.next())["id"] != number
    peer.writer.close()
    with pytest.raises(TargetLostError):
        await other
    await client.close()


async def test_a_lost_agent_fails_all_that_waits_and_is_told(pair: Pair) -> None:
    client, peer, heard = pair
    peer.send(HELLO)
    request = asyncio.create_task(client.request("disarm", probe=1))
    await peer.next()
    peer.writer.close()
    with pytest.raises(TargetLostError):
        await request
    assert [message["op"] for message in heard] == ["lost"]
    with pytest.raises(TargetLostError):
        await client.request("disarm", probe=1)


async def test_nonsense_from_the_agent_ends_the_conversation(pair: Pair) -> None:
    client, peer, _ = pair
    peer.writer.write(b"\xff" * 64)
    with pytest.raises(TargetLostError, match="over the limit"):
        await client.hello()


async def test_pushed_messages_reach_the_listener(pair: Pair) -> None:
    client, peer, heard = pair
    peer.send(HELLO)
    peer.send({"op": "batch", "counters": {}, "lost": 0, "rows": []})
    request = asyncio.create_task(client.request("clean"))
    peer.send({"op": "cleaned", "id": (await peer.next())["id"], "removed": [], "failed": []})
    await request
    assert [message["op"] for message in heard] == ["batch"]


async def test_the_explorer_names_its_version_once(pair: tuple[AgentClient, Peer, list[protocol.Message]]) -> None:
    client, peer, _ = pair
    peer.send(HELLO)
    await client.hello()
    await client.hello()
    asking = asyncio.create_task(client.request("clean"))
    peer.send({"op": "cleaned", "id": (await peer.next())["id"], "removed": [], "failed": []})
    await asking
    assert peer.introduced == [{"op": "hello", "version": protocol.VERSION}]
