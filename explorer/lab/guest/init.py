"""The first process of the lab's kernel: makes the guest habitable, then attends to the command.

The kernel starts it as ``python -I -S init.py`` from the host's own files, so it is standard library only, and imports
little: each module costs an emulated machine time.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import struct
import sys
import time

if __name__ == "__main__":
    sys.path.append(os.path.abspath(__file__ + "/../../../.."))

from explorer.lab.guest import frames
from explorer.lab.guest.frames import GuestChannel, HostGoneError
from explorer.lab.guest.streams import Command, attend, watch_deaths

_PORT_SECONDS = 10.0

_MS_RDONLY, _MS_NOSUID, _MS_REMOUNT, _MS_BIND = 1, 2, 32, 4096
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


def _ignore_foreign_setuid() -> None:
    """Shared by a user who is not root, root's files seem to be nobody's: setuid programs would become nobody."""
    if os.stat("/").st_uid != 0:
        _mount("", "/", flags=_MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID)


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


def _show_own_boot(directory: str) -> None:
    """The host's /boot tells of the host's kernel; this kernel's configuration lies beside its image."""
    if os.path.isdir("/boot"):
        _check(_libc.mount(directory.encode(), b"/boot", None, _MS_BIND, None), "/boot")


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


def _open_console() -> None:
    """Where a traceback goes. The kernel opened none if the host's /dev has no console."""
    console = os.open("/dev/console", os.O_RDWR | os.O_NOCTTY)
    for descriptor in range(3):
        os.dup2(console, descriptor)
    sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False)


def _prepare(configuration: dict[str, object]) -> None:
    overlay = configuration["overlay"]
    assert isinstance(overlay, str)
    _ignore_foreign_setuid()
    _make_writable(("/tmp", "/var/tmp"), overlay)
    boot = configuration["boot"]
    assert isinstance(boot, str)
    _show_own_boot(boot)
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


def _run(channel: GuestChannel) -> None:
    try:
        received: list[tuple[int, bytes]] = []
        while not received:
            select.select([channel.descriptor], [], [])
            received = channel.receive()
        configuration = json.loads(received[0][1])
        _prepare(configuration)
    except Exception as error:
        channel.send(frames.BROKEN, f"{type(error).__name__}: {error}".encode())
        raise
    deaths = watch_deaths()
    channel.send(frames.READY)
    if configuration["command"] is not None:
        command = Command(
            configuration["command"], configuration["cwd"], configuration["environment"], configuration["terminal"]
        )
        for kind, data in received[1:]:
            if kind == frames.INPUT:
                command.feed(data)
        channel.send(frames.EXIT, bytes([attend(command, channel, deaths)]))
    while True:  # the host pulls the plug: file systems of memory need no shutdown
        select.select([channel.descriptor], [], [])
        channel.receive()


def main() -> None:
    """PID 1: its end is a panic of the kernel, and with it the end of QEMU."""
    _mount_kernel_file_systems()
    _open_console()
    device = _wait_for_ports([frames.PORT])[frames.PORT]
    try:
        _run(GuestChannel(os.open(device, os.O_RDWR)))
    except HostGoneError:
        sys.exit("the host is gone")


if __name__ == "__main__":
    main()
