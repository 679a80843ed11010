"""The host's end of the frames that carry the command's streams; the guest's is ``explorer.lab.guest.frames``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

from explorer.lab.guest import frames
from explorer.lab.guest.frames import HEADER


@dataclass(frozen=True, slots=True)
class TerminalSize:
    """Of a terminal, in characters."""

    rows: int
    columns: int


class Channel:
    """Frames over one end of a socket pair, whose other end is QEMU's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, connection: socket.socket) -> Channel:
        """Take a connected socket."""
        return cls(*await asyncio.open_connection(sock=connection))

    async def configure(
        self,
        *,
        command: list[str] | None,
        cwd: str,
        environment: dict[str, str],
        terminal: TerminalSize | None,
        overlay: str,
        boot: str,
        ports: list[str],
    ) -> None:
        """Tell the guest what to run; the first thing it is told."""
        size = [terminal.rows, terminal.columns] if terminal else None
        text = json.dumps(
            {
                "command": command,
                "cwd": cwd,
                "environment": environment,
                "terminal": size,
                "overlay": overlay,
                "boot": boot,
                "ports": ports,
            }
        )
        await self._send(frames.CONFIGURATION, text.encode())

    async def send_input(self, data: bytes) -> None:
        """For the command's stdin; empty is its end."""
        await self._send(frames.INPUT, data)

    async def resize(self, size: TerminalSize) -> None:
        """The terminal has another size now."""
        await self._send(frames.RESIZE, json.dumps([size.rows, size.columns]).encode())

    async def _send(self, kind: int, data: bytes) -> None:
        # A machine that has ended takes nothing; that it ended, and why, is told by the end of its frames.
        with contextlib.suppress(ConnectionError):
            self._writer.write(HEADER.pack(kind, len(data)) + data)
            await self._writer.drain()

    async def frames(self) -> AsyncIterator[tuple[int, bytes]]:
        """What the guest says, until its machine ends."""
        while True:
            try:
                kind, length = HEADER.unpack(await self._reader.readexactly(HEADER.size))
                yield kind, await self._reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError):
                return

    def close(self) -> None:
        """Close our end."""
        self._writer.close()
