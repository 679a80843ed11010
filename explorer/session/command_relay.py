"""Commands on the lab's kernel: the explorer's end of the virtio port to ``explorer.session.guest_commands``."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence

from explorer.agent import protocol
from explorer.agent.protocol import Message
from explorer.session.guest_commands import READ_SIZE
from symbols.errors import KexploreError

_PATIENCE = 60.0
"""Seconds for a start; emulated, one takes about as long as Python."""
_LONGEST = protocol.MAX_REQUEST - 100
"""Bytes of a command line, as it is sent."""


class RelayedCommand:
    """A command in the guest; see ``RunningCommand``."""

    def __init__(self, relay: CommandRelay, number: int) -> None:
        self.pid = 0
        self.output = asyncio.StreamReader()
        self._relay = relay
        self._number = number
        loop = asyncio.get_running_loop()
        self._started: asyncio.Future[int] = loop.create_future()
        self._code: asyncio.Future[int | None] = loop.create_future()
        self._gone = asyncio.Event()

    def open_gate(self) -> None:
        """Let it run."""
        self._relay.ask("open", self._number)

    def abandon(self) -> None:
        """Close the gate for good."""
        self._relay.ask("abandon", self._number)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its process group."""
        self._relay.ask("signal", self._number, signal=int(number))

    async def start(self, argv: Sequence[str]) -> None:
        """Start it, behind its gate.

        Raises:
            KexploreError: It cannot be started.
        """
        self._relay.ask("run", self._number, argv=list(argv))
        try:
            async with asyncio.timeout(_PATIENCE):
                self.pid = await self._started
        except TimeoutError:
            self.abandon()
            raise KexploreError("the lab's guest starts no commands any more", "t: boot the lab anew") from None
        except asyncio.CancelledError:
            self.abandon()
            raise

    async def ended(self) -> int | None:
        """Wait for its end; its exit code, or None where the guest is gone."""
        return await asyncio.shield(self._code)

    async def gone(self) -> None:
        """Wait for the end of all that it started."""
        await self._gone.wait()

    def take(self, message: Message, blob: bytes) -> None:
        """Take what the guest says of it."""
        match message:
            case {"op": "started" | "refused"} if self._started.done():
                pass  # nobody waits for it any more
            case {"op": "started", "pid": pid}:
                self._started.set_result(pid)
            case {"op": "refused", "message": text, "hint": hint}:
                self._started.set_exception(KexploreError(text, hint))
            case {"op": "output"}:
                self.output.feed_data(blob)
            case {"op": "ended", "code": code}:
                self._code.set_result(code)
            case {"op": "gone"}:
                self.output.feed_eof()
                self._gone.set()

    def lose(self) -> None:
        """The guest is gone, and the command with it."""
        if not self._started.done():
            self._started.set_exception(KexploreError("the lab ended before the command was started"))
        if not self._code.done():
            self._code.set_result(None)
        if not self._gone.is_set():
            self.output.feed_eof()
            self._gone.set()


class CommandRelay:
    """The explorer's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._commands: dict[int, RelayedCommand] = {}
        self._started = 0
        self._reading = asyncio.create_task(self._read(reader), name="command relay")

    async def run(self, argv: Sequence[str]) -> RelayedCommand:
        """Start a command, behind its gate.

        Raises:
            KexploreError: It cannot be started.
        """
        self._started += 1
        if len(protocol.encode({"argv": list(argv)})) > _LONGEST:
            raise KexploreError(f"{argv[0]}: the command line is too long")
        command = self._commands[self._started] = RelayedCommand(self, self._started)
        if self._reading.done():
            command.lose()
        await command.start(argv)
        return command

    def ask(self, op: str, number: int, **members: object) -> None:
        """Send a word about a command."""
        self._writer.write(protocol.encode({"op": op, "id": number, **members}))

    async def close(self) -> None:
        """Let go of the port."""
        self._reading.cancel()
        await asyncio.wait([self._reading])
        self._writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        decoder = protocol.Decoder(protocol.MAX_REQUEST, READ_SIZE)
        try:
            while data := await reader.read(READ_SIZE):
                for message, blob in decoder.feed(data):
                    self._commands[message["id"]].take(message, blob)
                    if message["op"] in ("gone", "refused"):
                        del self._commands[message["id"]]
        except OSError:
            pass  # the other end is gone
        finally:
            for command in self._commands.values():
                command.lose()
