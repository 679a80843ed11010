"""A command that waits at the gate until its probes are armed, so that it is seen from its first instruction."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Self

from explorer.session.command_supervisor import NEVER_BEGUN, NUMBER
from symbols.errors import Category, KexploreError

_SUPERVISOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "command_supervisor.py")


class GatedCommand:
    """A process that runs ``argv`` once ``open_gate`` is called, and whatever it starts.

    It is started at once, so that it keeps the privilege that its parent gives up. A supervisor stands between, which
    passes signals on and knows when the last descendant has ended (``explorer.session.command_supervisor``).

    Args:
        argv: The command.
        output: The descriptor for its stdout and stderr; None: our stderr for both, as stdout belongs to the events.
        detached: Run it in a process group of its own and without input; signals then go to all of the group.

    Attributes:
        pid: The command's process.
        output: What it writes, if it was started by ``piped``.
        code: Its exit code as a shell gives it (128 + the signal that ended it); None until it has ended.

    Raises:
        KexploreError: There is no command, or it cannot be started.
    """

    output: asyncio.StreamReader
    code: int | None = None
    _reader: asyncio.StreamReader | None = None

    def __init__(self, argv: Sequence[str], *, output: int | None = None, detached: bool = False) -> None:
        if not argv:
            raise KexploreError("no command after --", "kexplore trace PROBE... -- COMMAND ARG...", Category.USAGE)
        self._supervisor = 0
        gate, self._gate = os.pipe()
        control, self._control = os.pipe()
        self._status, status = os.pipe()
        theirs = (gate, control, status)
        for descriptor in theirs:
            os.set_inheritable(descriptor, True)
        how = "group" if detached else "same"
        arguments = [sys.executable, "-I", "-S", "-B", _SUPERVISOR, *map(str, theirs), how, *argv]
        there = 2 if output is None else output
        streams: list[tuple[object, ...]] = [(os.POSIX_SPAWN_DUP2, there, 1), (os.POSIX_SPAWN_DUP2, there, 2)]
        if detached:
            streams.append((os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0))
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            # Not by subprocess: with descendants that live on, nobody will ever wait for the supervisor.
            self._supervisor = os.posix_spawn(
                sys.executable, arguments, os.environ, file_actions=streams, setsid=detached
            )
        except (OSError, ValueError) as error:
            self._let_go()
            raise KexploreError(f"cannot start a command: {getattr(error, 'strerror', error)}") from None
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        told = os.read(self._status, NUMBER.size)
        if len(told) < NUMBER.size:
            self._let_go()
            raise KexploreError(f"cannot start {argv[0]}", "what stands above says why" if output is None else "")
        (self.pid,) = NUMBER.unpack(told)

    @classmethod
    async def piped(cls, argv: Sequence[str]) -> Self:
        """Start one detached, its output to be read from ``output``.

        Raises:
            KexploreError: It cannot be started.
        """
        ours, theirs = os.pipe()
        try:
            command = await asyncio.to_thread(cls, argv, output=theirs, detached=True)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        reader = command.output = asyncio.StreamReader(limit=1 << 16)
        pipe = os.fdopen(ours, "rb", buffering=0)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        return command

    def open_gate(self) -> None:
        """Let the command run."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._gate, b"g")
        self._gate = _closed(self._gate)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; does nothing when nobody is left."""
        if self._control >= 0:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._control, bytes([number]))

    async def ended(self) -> int:
        """Wait for the end of the command; its exit code."""
        if self.code is None:
            try:
                (self.code,) = NUMBER.unpack(await (await self._stream()).readexactly(NUMBER.size))
            except asyncio.IncompleteReadError:  # somebody killed the supervisor
                self.code = 128 + signal.SIGKILL
        return self.code

    async def gone(self) -> None:
        """Wait for the end of the command and of all that it started."""
        await self.ended()
        if self._supervisor:
            await (await self._stream()).read()
            self._control = _closed(self._control)
            supervisor, self._supervisor = self._supervisor, 0
            await asyncio.to_thread(os.waitpid, supervisor, 0)

    def abandon(self) -> None:
        """Close the gate for good: a command that has not begun ends without running."""
        if self._gate >= 0:
            self._let_go()
            self.code = self.code or NEVER_BEGUN

    async def _stream(self) -> asyncio.StreamReader:
        if self._reader is None:
            reader = self._reader = asyncio.StreamReader()
            pipe = os.fdopen(self._status, "rb", buffering=0)
            self._status = -1  # the stream closes it
            await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        return self._reader

    def _let_go(self) -> None:
        """Close what leads to the supervisor, which ends with the command that never begins."""
        self._gate, self._control = _closed(self._gate), _closed(self._control)
        supervisor, self._supervisor = self._supervisor, 0
        if supervisor:
            os.waitpid(supervisor, 0)
        self._status = _closed(self._status)


def _closed(descriptor: int) -> int:
    """Close a descriptor, unless it is; what stands for a closed one."""
    if descriptor >= 0:
        os.close(descriptor)
    return -1
