"""The last words of a lab, made fit for a terminal."""

from __future__ import annotations

import asyncio

from explorer.lab import tether
from explorer.lab.console import Console


async def followed(console: Console, *pieces: bytes) -> None:
    stream = asyncio.StreamReader()
    for piece in pieces:
        stream.feed_data(piece)
    stream.feed_eof()
    await console.follow(stream)


async def test_lines_are_kept_however_they_arrive() -> None:
    console = Console(print)
    await followed(console, b"[1.0] one\r\n[1.1] t", b"wo\n", b"without an end")
    assert str(console) == "[1.0] one\n[1.1] two\nwithout an end"


async def test_only_the_last_lines_are_kept() -> None:
    console = Console(print)
    await followed(console, b"".join(b"line %d\n" % number for number in range(1000)))
    lines = str(console).splitlines()
    assert len(lines) == 60
    assert lines[-1] == "line 999"


async def test_a_guest_cannot_drive_the_terminal() -> None:
    console = Console(print)
    await followed(console, b"\x1b]0;owned\x07\x1b[2J\xff\n")
    await console.take_output(1, b"\x1b[31mred\n")
    assert str(console) == "]0;owned[2J\N{REPLACEMENT CHARACTER}\n[31mred"


async def test_a_tethers_warning_goes_to_the_user() -> None:
    said: list[str] = []
    console = Console(said.append)
    await followed(console, tether.WARNING + b"no read-only view\n")
    assert said == ["no read-only view"]
    assert str(console) == ""
