"""A lab: one throwaway kernel in QEMU that runs one command. The module to use from elsewhere is this one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from explorer.lab import guest_init, tether
from explorer.lab.acceleration import Acceleration, acceleration
from explorer.lab.channel import Channel, TerminalSize
from explorer.lab.errors import LabError, LabTimeLimitError
from explorer.lab.kernel_image import SERIES_6_12, KernelImage, KernelSeries, cache_directory, kernel_image
from explorer.lab.packages import Progress, programs
from explorer.lab.sharing import share

BOOT_SECONDS = 120.0
"""An emulated kernel takes 4 to 8 seconds on an idle machine."""

Output = Callable[[int, bytes], Awaitable[None]]
"""Takes what the command wrote: the descriptor (1 or 2) and the bytes. The command is held up until it returns."""

_CONSOLE_LINES = 60
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the machine is made of."""

    memory_mb: int = 2048
    cpus: int = 2


class Lab:
    """A running lab; ``boot`` makes one. An async context manager: leaving it ends the machine.

    Attributes:
        release: The kernel's version, as ``uname -r`` says it.
        acceleration: How its instructions are executed.
    """

    release: str
    acceleration: Acceleration

    def __init__(self) -> None:
        self._processes: list[asyncio.subprocess.Process] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._sockets: dict[str, socket.socket] = {}
        self._channel: Channel | None = None
        self._console: deque[str] = deque(maxlen=_CONSOLE_LINES)
        self._ready = asyncio.get_running_loop().create_future()
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._limit: asyncio.TimerHandle | None = None
        self._output: Output = self._remember_output

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

        Raises:
            LabError: The lab cannot be had here, or did not come up.
        """
        lab = cls()
        lab._output = output or lab._remember_output
        try:
            await lab._boot(series, Hardware(memory_mb, cpus), ports, progress)
            assert lab._channel is not None
            # Our own sockets wait for the guest to open its port: no need to wait for it first.
            await lab._channel.configure(
                command=list(command) if command is not None else None,
                cwd=cwd or os.getcwd(),
                environment=_environment(env or {}),
                terminal=terminal,
                overlay=str(lab._image.module("overlay")),
                ports=list(ports),
            )
            started = time.monotonic()
            await lab._until_ready()
            progress(f"kernel up in {time.monotonic() - started:.1f} s")
        except BaseException:
            await lab.close()
            raise
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
        return "\n".join(self._console)

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
        await asyncio.gather(*self._tasks, *(process.wait() for process in self._processes), return_exceptions=True)
        for future in (self._ready, self._exit):
            future.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _boot(self, series: KernelSeries, hardware: Hardware, ports: Sequence[str], progress: Progress) -> None:
        if os.uname().machine != "x86_64":
            raise LabError(f"the lab has no kernel for {os.uname().machine}", "run it on an x86-64 machine")
        cache = cache_directory()
        found = await programs(progress)
        self._image = await kernel_image(series, cache, progress)
        self.release = self._image.release
        self.acceleration = await acceleration(found.qemu, self._image, cache, progress)
        how = " (no KVM: emulated, slow)" if self.acceleration is Acceleration.EMULATED else ""
        progress(f"booting {self.release}{how}")

        virtiofsd, files = await share(found.virtiofsd)
        self._processes.append(virtiofsd)
        assert virtiofsd.stderr is not None
        self._tasks.append(asyncio.create_task(self._read_console(virtiofsd.stderr, progress)))
        theirs: dict[str, socket.socket] = {}
        for name in (guest_init.CHANNEL, *ports):
            self._sockets[name], theirs[name] = socket.socketpair()
        with contextlib.ExitStack() as closed_here:
            for connection in (files, *theirs.values()):
                closed_here.enter_context(connection)
            descriptors = {name: connection.fileno() for name, connection in theirs.items()}
            qemu = await asyncio.create_subprocess_exec(
                *tether.command(
                    str(found.qemu),
                    *self.acceleration.qemu_arguments,
                    *qemu_arguments(self._image, hardware, files.fileno(), descriptors),
                ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=[files.fileno(), *descriptors.values()],
                start_new_session=True,
            )
        self._processes.append(qemu)
        assert qemu.stdout is not None
        console = asyncio.create_task(self._read_console(qemu.stdout, progress))
        self._channel = await Channel.over(self._sockets.pop(guest_init.CHANNEL))
        self._tasks += [console, asyncio.create_task(self._listen(self._channel, qemu, console))]

    async def _until_ready(self) -> None:
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), BOOT_SECONDS)
        except TimeoutError:
            raise self._error(f"the lab's kernel did not come up in {BOOT_SECONDS:.0f} s") from None

    async def _listen(self, channel: Channel, qemu: asyncio.subprocess.Process, console: asyncio.Task[None]) -> None:
        """Act on what the guest says, until it has said all."""
        try:
            async for kind, data in channel.frames():
                if kind in (guest_init.STDOUT, guest_init.STDERR):
                    await self._output(kind, data)
                elif kind == guest_init.READY:
                    self._ready.set_result(None)
                elif kind == guest_init.EXIT:
                    self._settle(data[0])
                    return
                elif kind == guest_init.BROKEN:
                    raise self._error(f"the lab's guest could not be prepared: {data.decode(errors='replace')}")
            # The stream ended without an exit code: the machine is gone. Its last words first.
            code = await qemu.wait()
            await console
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

    async def _read_console(self, stream: asyncio.StreamReader, progress: Progress) -> None:
        async for line in _lines(stream):
            if line.startswith(tether.WARNING):
                progress(line.removeprefix(tether.WARNING).decode(errors="replace"))
            else:
                self._console.append(_printable(line))

    async def _remember_output(self, descriptor: int, data: bytes) -> None:
        self._console.extend(_printable(line) for line in data.splitlines())


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    pending = b""
    while data := await stream.read(65536):
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            yield line
    if pending:
        yield pending


def _printable(line: bytes) -> str:
    """The guest's words are shown in a terminal: without control characters."""
    return "".join(letter for letter in line.decode(errors="replace") if letter.isprintable() or letter == "\t")


def qemu_arguments(image: KernelImage, hardware: Hardware, files: int, ports: Mapping[str, int]) -> list[str]:
    """QEMU's arguments beside the accelerator's; files and ports are descriptors of connected sockets."""
    python = os.path.realpath(sys.executable)
    init = os.path.realpath(guest_init.__file__)
    append = f'console=ttyS0 quiet panic=-1 rootfstype=virtiofs root=rootfs ro init="{python}" -- -I -S "{init}"'
    arguments = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]
    arguments += ["-machine", "pc,memory-backend=memory", "-smp", str(hardware.cpus), "-m", f"{hardware.memory_mb}M"]
    # Shared, because virtiofsd reads and writes the guest's memory.
    arguments += ["-object", f"memory-backend-memfd,id=memory,size={hardware.memory_mb}M,share=on"]
    arguments += ["-kernel", str(image.kernel), "-append", append]
    arguments += ["-chardev", f"socket,id=files,fd={files}", "-device", "vhost-user-fs-pci,chardev=files,tag=rootfs"]
    arguments += ["-device", "virtio-serial-pci"]
    for number, (name, descriptor) in enumerate(ports.items()):
        arguments += ["-chardev", f"socket,id=port{number},fd={descriptor}"]
        arguments += ["-device", f"virtserialport,chardev=port{number},name={name}"]
    return arguments


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Of the command: the host's ways to find programs and to speak, the lab's home, then what the caller gave."""
    passed = {
        name: os.environ[name]
        for name in ("TERM", "COLORTERM", "NO_COLOR", "LANG", "LC_ALL", "TZ")
        if name in os.environ
    }
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
