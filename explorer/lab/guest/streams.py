"""The command that runs in the guest: its process, and its streams to and from the host."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import struct
import termios

from explorer.lab.guest import frames
from explorer.lab.guest.frames import HEADER, PIECE, GuestChannel

_LEFT_IN_PIPE = 1 << 18  # more than a pipe or a terminal holds


class Command:
    """The command, its process and the descriptors of its streams.

    Args:
        arguments: The program and its arguments.
        cwd: Its working directory.
        environment: All of its environment.
        terminal: Rows and columns: it gets a terminal of that size in place of three pipes.
    """

    def __init__(self, arguments: list[str], cwd: str, environment: dict[str, str], terminal: list[int] | None) -> None:
        self._input = bytearray()
        self._input_ended = False
        self._terminal = terminal is not None
        if terminal is not None:
            self.stdin, theirs = os.openpty()
            self.resize(*terminal)
            self.outputs = {self.stdin: frames.STDOUT}
            inherited = [theirs, theirs, theirs]
        else:
            read_in, self.stdin = os.pipe()
            read_out, write_out = os.pipe()
            read_error, write_error = os.pipe()
            self.outputs = {read_out: frames.STDOUT, read_error: frames.STDERR}
            inherited = [read_in, write_out, write_error]
        self.pid = os.fork()
        if self.pid == 0:
            _become(arguments, cwd, environment, inherited, self._terminal)
        for descriptor in set(inherited):
            os.close(descriptor)
        for descriptor in {self.stdin, *self.outputs}:
            os.set_blocking(descriptor, False)

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal its size."""
        fcntl.ioctl(self.stdin, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def wants_to_write(self) -> bool:
        """Whether input is waiting for room in the command's stdin."""
        return bool(self._input)

    def feed(self, data: bytes) -> None:
        """Take input; empty is its end."""
        self._input += data
        self._input_ended = self._input_ended or not data
        self.write()

    def write(self) -> None:
        """Pass on as much input as the command takes now."""
        try:
            while self._input:
                del self._input[: os.write(self.stdin, self._input[:PIECE])]
        except BlockingIOError:
            return
        except OSError:
            self._input.clear()  # it closed its stdin: what it did not read is nobody's
        if self._input_ended and not self._terminal and self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    def read(self, descriptor: int, channel: GuestChannel) -> int:
        """Carry one piece of output; its length, 0 when there is none (any more)."""
        try:
            data = os.read(descriptor, PIECE - HEADER.size)
        except BlockingIOError:
            return 0
        except OSError:  # EIO: a terminal that nobody has open any more
            data = b""
        if data:
            channel.send(self.outputs[descriptor], data)
        else:
            del self.outputs[descriptor]
        return len(data)

    def drain(self, channel: GuestChannel) -> None:
        """Carry what is in the pipes, and no more: a daemon that keeps them open must not keep the lab."""
        for descriptor in list(self.outputs):
            carried = 0
            while carried < _LEFT_IN_PIPE and (length := self.read(descriptor, channel)):
                carried += length


def _become(arguments: list[str], cwd: str, environment: dict[str, str], inherited: list[int], terminal: bool) -> None:
    """In the child: turn into the command, or say why not with a shell's exit codes."""
    status = 126
    try:
        os.setsid()
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these
            signal.signal(ignored, signal.SIG_DFL)
        for number, descriptor in enumerate(inherited):
            os.dup2(descriptor, number)
        if terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.chdir(cwd)
        os.execvpe(arguments[0], arguments, environment)
    except FileNotFoundError as error:
        status = 127
        os.write(2, f"kexplore lab: {error.filename or arguments[0]}: not found in the lab\n".encode())
    except OSError as error:
        os.write(2, f"kexplore lab: {error.filename or arguments[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(status)


def _reap(wanted: int) -> int | None:
    """Bury dead children, adopted ones too; the exit code of the wanted one if it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == wanted:
            code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def watch_deaths() -> int:
    """A descriptor that can be read when a child has died."""
    deaths, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    return deaths


def attend(command: Command, channel: GuestChannel, deaths: int) -> int:
    """Carry the command's streams until it ends, and bury the orphans that it leaves to PID 1.

    Args:
        command: The command.
        channel: Where the streams go and come from.
        deaths: What ``watch_deaths`` gave before the command was started.

    Returns:
        The exit code; 128 + N when signal N ended it.
    """
    while True:
        poll = select.poll()
        for descriptor in (channel.descriptor, deaths, *command.outputs):
            poll.register(descriptor, select.POLLIN)
        if command.wants_to_write:
            poll.register(command.stdin, select.POLLOUT | (select.POLLIN if command.stdin in command.outputs else 0))
        died = False
        for descriptor, _ in poll.poll():
            if descriptor == channel.descriptor:
                for kind, data in channel.receive():
                    if kind == frames.INPUT:
                        command.feed(data)
                    elif kind == frames.RESIZE:
                        command.resize(*json.loads(data))
            elif descriptor in command.outputs:
                command.read(descriptor, channel)
            elif descriptor == deaths:
                os.read(deaths, 4096)
                died = True
        command.write()
        if died and (code := _reap(command.pid)) is not None:
            command.drain(channel)
            return code
