"""A pair of pipes, or one device twice, as the two streams of asyncio."""

from __future__ import annotations

import asyncio
from typing import IO

STREAM_LIMIT = 4 << 20
"""Bytes that asyncio buffers from the other side before it stops reading."""


async def streams_of(
    source: IO[bytes] | None, sink: IO[bytes] | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Both ends, unbuffered files, for this event loop."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=STREAM_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), source)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sink)
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)
