"""A lab: one throwaway kernel in QEMU that runs one command. The module to use from elsewhere is this one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from explorer.lab import qemu, tether
from explorer.lab.acceleration import Acceleration, acceleration
from explorer.lab.bcc_files import bcc_files
from explorer.lab.channel import Channel, TerminalSize
from explorer.lab.console import Console
from explorer.lab.errors import LabError, LabTimeLimitError
from explorer.lab.guest import frames
from explorer.lab.initramfs import initramfs
from explorer.lab.kernel_headers import kernel_headers
from explorer.lab.kernel_image import SERIES_6_12, KernelImage, KernelSeries, cache_directory, kernel_image
from explorer.lab.packages import Programs, Progress, programs
from explorer.lab.qemu import Hardware
from explorer.lab.sharing import require_rights, share

BOOT_SECONDS = 120.0
"""An emulated kernel takes 4 to 8 seconds on an idle machine."""

Output = Callable[[int, bytes], Awaitable[None]]
"""Takes what the command wrote: the descriptor (1 or 2) and the bytes. The command is held up until it returns."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON = ("TERM", "COLORTERM", "NO_COLOR", "LANG", "LC_ALL", "TZ")


class Lab:
    """A running lab; ``boot`` makes one. An async context manager: leaving it ends the machine.

    Attributes:
        release: The kernel's version, as ``uname -r`` says it.
        acceleration: How its instructions are executed.
    """

    def __init__(
        self, image: KernelImage, accelerated: Acceleration, progress: Progress, output: Output | None
    ) -> None:
        self.release = image.release
        self.acceleration = accelerated
        self._image = image
        self._console = Console(progress)
        self._output = output or self._console.take_output
        self._processes: list[asyncio.subprocess.Process] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._sockets: dict[str, socket.socket] = {}
        self._channel: Channel | None = None
        self._limit: asyncio.TimerHandle | None = None
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[int] = loop.create_future()
        self._exit: asyncio.Future[int] = loop.create_future()

    @classmethod
    async def boot(
        cls,
        command: Sequence[str] | None,
        *,
        progress: Progress,
        ports: Sequence[str] = (),
        output: Output | None = None,
        terminal: TerminalSize | None = None,
        time_limit: float | None = None,
        memory_mb: int = 2048,
        cpus: int = 2,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        series: KernelSeries = SERIES_6_12,
        bcc: bool = False,
    ) -> Self:
        """Fetch what is missing, boot, start the command; returns when it has been started.

        Args:
            command: Program and arguments, run as root in the guest; None runs nothing.
            progress: Takes a line about what is being done.
            ports: Names of virtio ports to add; in the guest they are ``/dev/virtio-ports/NAME``.
            output: Takes the command's output; by default only its last lines are kept, for error messages.
            terminal: Gives the command a terminal of this size; its output then all comes as descriptor 1.
            time_limit: Seconds that the command may take.
            memory_mb: The guest's memory.
            cpus: The guest's processors.
            env: Variables for the command beside the lab's own.
            cwd: The command's directory; the current one by default.
            series: Which kernel.
            bcc: Bring bcc and the kernel's headers, 70 MB more to fetch; the command finds them through variables.

        Raises:
            LabError: The lab cannot be had here, or did not come up.
        """
        if os.uname().machine != "x86_64":
            raise LabError(f"the lab has no kernel for {os.uname().machine}", "run it on an x86-64 machine")
        cache = cache_directory()
        found = await programs(progress)
        require_rights(found.virtiofsd, os.geteuid() == 0, os.getgroups())
        try:
            image = await kernel_image(series, cache, progress)
            first_files = await initramfs(image, progress)
            accelerated = await acceleration(found.qemu, image, cache, progress)
            variables = await _bcc_variables(image, cache, progress) if bcc else {}
        except OSError as error:
            hint = "set XDG_CACHE_HOME to a directory with 500 MB that you may write to"
            raise LabError(f"the lab cannot keep its kernel in {cache}: {error.strerror}", hint) from error
        lab = cls(image, accelerated, progress, output)
        how = " (no KVM: emulated, slow)" if accelerated is Acceleration.EMULATED else ""
        progress(f"booting {image.release}{how}")
        started = time.monotonic()
        try:
            channel = await lab._start(found, first_files, Hardware(memory_mb, cpus), ports)
            await channel.configure(
                command=list(command) if command is not None else None,
                cwd=cwd or os.getcwd(),
                environment=_environment({**variables, **(env or {})}),
                terminal=terminal,
                overlay=str(image.module("overlay")),
                boot=str(image.kernel.parent),
                ports=list(ports),
            )
            await lab._until_ready()
        except BaseException:
            await lab.close()
            raise
        progress(f"kernel up in {time.monotonic() - started:.1f} s")
        if time_limit is not None:
            lab._limit = asyncio.get_running_loop().call_later(time_limit, lab._expire, time_limit)
        return lab

    async def port(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The host's end of one of the ports that ``boot`` was told of; once for each."""
        return await asyncio.open_connection(sock=self._sockets.pop(name))

    async def send_input(self, data: bytes) -> None:
        """For the command's stdin; empty is its end."""
        assert self._channel is not None
        await self._channel.send_input(data)

    async def resize(self, size: TerminalSize) -> None:
        """Tell the command's terminal its new size."""
        assert self._channel is not None
        await self._channel.resize(size)

    async def wait(self) -> int:
        """The command's exit code, 128 + N when signal N ended it.

        Raises:
            LabTimeLimitError: Its time was over.
            LabError: The machine ended before it.
        """
        return await asyncio.shield(self._exit)

    @property
    def console(self) -> str:
        """The last lines of the guest's console, of QEMU and of virtiofsd."""
        return str(self._console)

    async def close(self) -> None:
        """End the machine and everything that belongs to it; may be called again."""
        if self._limit is not None:
            self._limit.cancel()
        for process in self._processes:
            if process.returncode is None:
                process.kill()
        for task in self._tasks:
            task.cancel()
        for connection in self._sockets.values():
            connection.close()
        if self._channel is not None:
            self._channel.close()
        for process in self._processes:
            await process.wait()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._settle(LabError("the lab was closed"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _start(
        self, found: Programs, first_files: Path | None, hardware: Hardware, ports: Sequence[str]
    ) -> Channel:
        """Start virtiofsd and QEMU, tied together by sockets that have no names."""
        virtiofsd, files = await share(found.virtiofsd)
        theirs: dict[str, socket.socket] = {}
        with contextlib.ExitStack() as handed_over:
            handed_over.enter_context(files)
            self._processes.append(virtiofsd)
            self._follow(virtiofsd.stderr)
            for name in (frames.PORT, *ports):
                self._sockets[name], theirs[name] = socket.socketpair()
                handed_over.enter_context(theirs[name])
            descriptors = {name: connection.fileno() for name, connection in theirs.items()}
            machine = await asyncio.create_subprocess_exec(
                *tether.command(str(found.qemu), *self.acceleration.qemu_arguments),
                *qemu.arguments(self._image, first_files, hardware, files.fileno(), descriptors),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=[files.fileno(), *descriptors.values()],
                start_new_session=True,
            )
        self._processes.append(machine)
        last_words = self._follow(machine.stdout)
        self._channel = await Channel.over(self._sockets.pop(frames.PORT))
        self._tasks.append(asyncio.create_task(self._listen(self._channel, machine, last_words)))
        return self._channel

    def _follow(self, stream: asyncio.StreamReader | None) -> asyncio.Task[None]:
        assert stream is not None  # a pipe was asked for
        task = asyncio.create_task(self._console.follow(stream))
        self._tasks.append(task)
        return task

    async def _until_ready(self) -> None:
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), BOOT_SECONDS)
        except TimeoutError:
            raise self._error(f"the lab's kernel did not come up in {BOOT_SECONDS:.0f} s") from None

    async def _listen(
        self, channel: Channel, machine: asyncio.subprocess.Process, last_words: asyncio.Task[None]
    ) -> None:
        """Act on what the guest says, until it has said all."""
        try:
            async for kind, data in channel.frames():
                if kind in (frames.STDOUT, frames.STDERR):
                    await self._output(kind, data)
                elif kind == frames.READY:
                    self._ready.set_result(0)
                elif kind == frames.EXIT:
                    self._settle(data[0])
                    return
                elif kind == frames.BROKEN:
                    raise self._error(f"the lab's guest could not be prepared: {data.decode(errors='replace')}")
            # The stream ended without an exit code: the machine is gone. Its last words first.
            code = await machine.wait()
            await last_words
            raise self._error(self._cause(code))
        except Exception as error:  # for whoever waits; nobody awaits this task
            self._settle(error)

    def _cause(self, code: int) -> str:
        if "Kernel panic" in self.console:
            return "the lab's kernel panicked"
        if code != 0:
            return f"QEMU ended with {code}"
        return "the lab was switched off before its command ended"

    def _error(self, message: str) -> LabError:
        console = self.console
        return LabError(message, f"its last words:\n{console}" if console else "", console=console)

    def _settle(self, result: int | Exception) -> None:
        for future in (self._ready, self._exit):
            if future.done():
                continue
            if isinstance(result, int):
                future.set_result(result)
            else:
                future.set_exception(result)
                future.exception()  # seen: it is no news to asyncio if nobody waits for this one

    def _expire(self, limit: float) -> None:
        self._settle(LabTimeLimitError(f"the command did not end in {limit:g} s", console=self.console))


async def _bcc_variables(image: KernelImage, cache: Path, progress: Progress) -> dict[str, str]:
    """Where a command in the guest finds bcc and what bcc compiles with."""
    return {
        "KEXPLORE_BCC": str(await bcc_files(cache, progress)),
        "BCC_KERNEL_SOURCE": str(await kernel_headers(image, cache, progress)),
    }


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Of the command: how to find programs and to speak as here, the lab's own home, then what the caller gave."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {
        **passed,
        "PATH": f"{os.environ['PATH']}:{_PATH}" if "PATH" in os.environ else _PATH,
        "HOME": "/run/home",
        "USER": "root",
        "LOGNAME": "root",
        "PYTHONDONTWRITEBYTECODE": "1",
        "KEXPLORE_LAB": "1",
        **given,
    }
