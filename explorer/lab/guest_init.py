"""The first process of the lab's kernel: makes the guest habitable, runs the command, carries its streams to the host.

The kernel starts it as ``python -I -S guest_init.py`` from the host's own files, so it is standard library only, and
imports little: each module costs an emulated machine time. The host's side is ``explorer.lab.channel``.

Everything goes over one virtio port in frames, so that the exit code cannot overtake the output before it::

    u8 kind (the constants below) | u32 length, big endian | that many bytes

"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import signal
import struct
import sys
import termios
import time

CHANNEL = "kexplore.lab"
"""Name of the port."""
HEADER = struct.Struct("!BI")

# Host to guest.
CONFIGURATION = (
    0  # JSON, once, first: command or null, cwd, environment, terminal [rows, columns] or null, overlay, ports
)
INPUT = 1  # for the command's stdin; empty: its end
RESIZE = 2  # JSON [rows, columns]

# Guest to host. STDOUT and STDERR have the numbers of their descriptors.
STDOUT = 1
STDERR = 2
READY = 3  # empty: the kernel is up, the command is about to start
EXIT = 4  # one byte: the exit code; nothing follows
BROKEN = 5  # text: the guest could not be prepared

PIECE = 32768  # what a virtio port takes in one write
_PORT_SECONDS = 10.0
_LEFT_IN_PIPE = 1 << 18  # more than a pipe or a terminal holds

_MS_NOSUID = 2
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_SYS_FINIT_MODULE = 313
_MODULE_INIT_COMPRESSED_FILE = 4

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _mount(kind: str, place: str, options: str = "", flags: int = _MS_NOSUID) -> None:
    _check(_libc.mount(kind.encode(), place.encode(), kind.encode(), flags, options.encode()), place)


def _mount_if_known(kind: str, place: str) -> None:
    """For file systems that another kernel's configuration may lack."""
    if os.path.isdir(place):
        with open("/proc/filesystems") as known:
            if f"\t{kind}\n" in known.read():
                _mount(kind, place)


def _mount_kernel_file_systems() -> None:
    _mount("proc", "/proc")
    _mount("sysfs", "/sys")
    _mount("devtmpfs", "/dev")
    for place, kind in (("/dev/pts", "devpts"), ("/dev/shm", "tmpfs")):
        os.mkdir(place)
        _mount(kind, place, "ptmxmode=666" if kind == "devpts" else "mode=1777")
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"/dev/{name}")
    _mount("tmpfs", "/run", "mode=755")
    _mount_if_known("debugfs", "/sys/kernel/debug")
    _mount_if_known("tracefs", "/sys/kernel/tracing")
    _mount_if_known("securityfs", "/sys/kernel/security")
    _mount_if_known("bpf", "/sys/fs/bpf")
    _mount_if_known("cgroup2", "/sys/fs/cgroup")


def _make_writable(places: tuple[str, ...], overlay: str) -> None:
    """Lay memory over the host's temporary directories: their files are seen, writes go nowhere."""
    flags = 0 if overlay.endswith(".ko") else _MODULE_INIT_COMPRESSED_FILE
    module = os.open(overlay, os.O_RDONLY)
    _check(_libc.syscall(_SYS_FINIT_MODULE, module, b"", flags), overlay)
    os.close(module)
    for place in places:
        memory = "/run/kexplore" + place
        os.makedirs(memory + "/upper")
        os.chmod(memory + "/upper", 0o1777)
        os.mkdir(memory + "/work")
        _mount("overlay", place, f"lowerdir={place},upperdir={memory}/upper,workdir={memory}/work")


def _loopback_up() -> None:
    inet, datagram = 2, 2
    descriptor = _check(_libc.socket(inet, datagram, 0), "socket")
    request = bytearray(struct.pack("16sH14x", b"lo", 0))
    fcntl.ioctl(descriptor, _SIOCGIFFLAGS, request)
    (flags,) = struct.unpack_from("H", request, 16)
    struct.pack_into("H", request, 16, flags | _IFF_UP)
    fcntl.ioctl(descriptor, _SIOCSIFFLAGS, request)
    os.close(descriptor)


def _ports() -> dict[str, str]:
    """Name of each virtio port and its device."""
    directory = "/sys/class/virtio-ports"
    found = {}
    for device in os.listdir(directory) if os.path.isdir(directory) else []:
        # The entry appears before the host has told the port's name: the file is missing until then.
        try:
            with open(f"{directory}/{device}/name") as file:
                found[file.read().strip()] = "/dev/" + device
        except FileNotFoundError:
            continue
    return found


def _wait_for_ports(names: list[str]) -> dict[str, str]:
    """The kernel learns of the ports in the background while we start."""
    end = time.monotonic() + _PORT_SECONDS
    while not set(names) <= set(found := _ports()):
        if time.monotonic() > end:
            raise TimeoutError(f"no virtio port {set(names) - set(found)}")
        time.sleep(0.01)
    return found


class Channel:
    """The guest's end of the frames."""

    def __init__(self, device: str) -> None:
        self.descriptor = os.open(device, os.O_RDWR)
        self._pending = bytearray()

    def send(self, kind: int, data: bytes = b"") -> None:
        """Write a frame; blocks while the host does not read."""
        frame = memoryview(HEADER.pack(kind, len(data)) + data)
        while frame:
            frame = frame[os.write(self.descriptor, frame[:PIECE]) :]

    def receive(self) -> list[tuple[int, bytes]]:
        """Read once; the frames that are complete now."""
        data = os.read(self.descriptor, PIECE)
        if not data:
            sys.exit("the host is gone")  # a panic, and with it the end of QEMU
        self._pending += data
        frames = []
        while len(self._pending) >= HEADER.size:
            kind, length = HEADER.unpack_from(self._pending)
            end = HEADER.size + length
            if len(self._pending) < end:
                break
            frames.append((kind, bytes(self._pending[HEADER.size : end])))
            del self._pending[:end]
        return frames


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
            self.outputs = {self.stdin: STDOUT}
            inherited = [theirs, theirs, theirs]
        else:
            read_in, self.stdin = os.pipe()
            read_out, write_out = os.pipe()
            read_error, write_error = os.pipe()
            self.outputs = {read_out: STDOUT, read_error: STDERR}
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

    def read(self, descriptor: int, channel: Channel) -> int:
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

    def drain(self, channel: Channel) -> None:
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


def _attend(command: Command, channel: Channel, deaths: int) -> int:
    """Carry the command's streams until it ends."""
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
                    if kind == INPUT:
                        command.feed(data)
                    elif kind == RESIZE:
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


def _open_console() -> None:
    """Where a traceback goes. The kernel opened none if the host's /dev has no console."""
    console = os.open("/dev/console", os.O_RDWR | os.O_NOCTTY)
    for descriptor in range(3):
        os.dup2(console, descriptor)
    sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False)


def _prepare(configuration: dict[str, object]) -> None:
    overlay = configuration["overlay"]
    assert isinstance(overlay, str)
    _make_writable(("/tmp", "/var/tmp"), overlay)
    _loopback_up()
    with open("/proc/sys/kernel/hostname", "w") as file:
        file.write("kexplore-lab")
    os.mkdir("/run/home")
    os.makedirs("/run/lock")
    os.mkdir("/dev/virtio-ports")
    names = configuration["ports"]
    assert isinstance(names, list)
    for name, device in _wait_for_ports(names).items():
        os.symlink(device, "/dev/virtio-ports/" + name)


def main() -> None:
    """PID 1. Ends only with the machine: the host pulls the plug once it knows the exit code."""
    _mount_kernel_file_systems()
    _open_console()
    channel = Channel(_wait_for_ports([CHANNEL])[CHANNEL])
    try:
        frames: list[tuple[int, bytes]] = []
        while not frames:
            select.select([channel.descriptor], [], [])
            frames = channel.receive()
        configuration = json.loads(frames[0][1])
        _prepare(configuration)
    except Exception as error:
        channel.send(BROKEN, f"{type(error).__name__}: {error}".encode())
        raise
    deaths, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    channel.send(READY)
    if configuration["command"] is not None:
        command = Command(
            configuration["command"], configuration["cwd"], configuration["environment"], configuration["terminal"]
        )
        for kind, data in frames[1:]:
            if kind == INPUT:
                command.feed(data)
        channel.send(EXIT, bytes([_attend(command, channel, deaths)]))
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
