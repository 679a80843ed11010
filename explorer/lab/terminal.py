"""The caller's own streams: reading and writing them without blocking, and the terminal in raw mode."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import tty
from collections.abc import Callable, Iterator

from explorer.lab.channel import TerminalSize

# A descriptor that is ready takes or gives this much at once; a pipe promises PIPE_BUF = 4096 to writers.
_READ_AT_ONCE = 32768
_WRITE_AT_ONCE = 4096

_Watch = Callable[[int, Callable[[], None]], None]


async def read(descriptor: int) -> bytes:
    """Some bytes of a stream of any sort; empty at its end."""
    loop = asyncio.get_running_loop()
    try:
        await _until_ready(descriptor, loop.add_reader, loop.remove_reader)
        return os.read(descriptor, _READ_AT_ONCE)
    except OSError:  # EBADF: started with stdin closed. EIO: a terminal that was hung up, or is not ours any more
        return b""


async def write(descriptor: int, data: bytes) -> None:
    """Write all of it, however slowly it is taken.

    The descriptor's mode stays as it is: O_NONBLOCK would also hit the other processes that share it.

    Raises:
        BrokenPipeError: Nobody reads any more.
    """
    loop = asyncio.get_running_loop()
    rest = memoryview(data)
    while rest:
        await _until_ready(descriptor, loop.add_writer, loop.remove_writer)
        rest = rest[os.write(descriptor, rest[:_WRITE_AT_ONCE]) :]


async def _until_ready(descriptor: int, watch: _Watch, unwatch: Callable[[int], bool]) -> None:
    ready = asyncio.Event()
    try:
        watch(descriptor, ready.set)
    except PermissionError:
        return  # a regular file: epoll does not take it, it never blocks
    try:
        await ready.wait()
    finally:
        unwatch(descriptor)


def size(descriptor: int) -> TerminalSize:
    """Of the terminal; 24 x 80 when it does not know, as a serial line."""
    found = os.get_terminal_size(descriptor)
    return TerminalSize(found.lines or 24, found.columns or 80)


@contextlib.contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """Every key is for the guest; the terminal is as before at the end."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        with contextlib.suppress(termios.error):  # it was hung up: there is nothing to restore
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
