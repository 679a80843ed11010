"""Runs a program that cannot outlive the process that asked for it; optionally with every file read-only.

``python -I -S tether.py PARENT_PID read-only|as-is PROGRAM ARGUMENT...`` prepares itself and becomes PROGRAM. It is a
program of its own because this must happen between fork and exec, where a process with threads may not run Python.
Standard library only: it is run without the project's import path.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys

WARNING = b"kexplore: "
"""What a line on stderr starts with when it is for the user."""

_PR_SET_PDEATHSIG = 1
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_REC = 0x4000
_MS_PRIVATE = 1 << 18
_SYS_MOUNT_SETATTR = 442  # the same on every architecture; since Linux 5.12
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 1

_libc = ctypes.CDLL(None, use_errno=True)


def command(program: str, *arguments: str, read_only: bool = False) -> list[str]:
    """The command line that runs a program tethered to the thread that starts it."""
    files = "read-only" if read_only else "as-is"
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), str(os.getpid()), files, program, *arguments]


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _tie_to(parent: int) -> None:
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        sys.exit(0)  # the parent died before the signal was asked for


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _make_files_read_only() -> None:
    """A mount namespace of its own in which every mount is read-only; without root, inside a user namespace."""
    user, group = os.geteuid(), os.getegid()
    _check(_libc.unshare(_CLONE_NEWNS if user == 0 else _CLONE_NEWNS | _CLONE_NEWUSER), "unshare")
    if user != 0:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {user} 1")
        _write("/proc/self/gid_map", f"0 {group} 1")
    _check(_libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), "mount")
    attributes = struct.pack("QQQQ", _MOUNT_ATTR_RDONLY, 0, 0, 0)
    _check(
        _libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, b"/", _AT_RECURSIVE, attributes, len(attributes)), "mount_setattr"
    )


def main(arguments: list[str]) -> None:
    """Prepare, then become the program."""
    parent, files, *program = arguments
    _tie_to(int(parent))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a QEMU that aborts must not drop a core file of the guest's size
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # virtiofsd holds a descriptor for each file the guest saw
    if files == "read-only":
        try:
            _make_files_read_only()
        except OSError as error:
            sys.stderr.write(
                f"{WARNING.decode()}no read-only view of this machine's files ({error.filename}: {error.strerror});"
                " only the guest's own read-only mount protects them\n"
            )
            sys.stderr.flush()
    os.execv(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
