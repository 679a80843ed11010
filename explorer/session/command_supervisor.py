"""Run as a program: starts a command behind a gate, tells how it ended, and stays until all that it started has ended.

It makes itself the reaper of its descendants (PR_SET_CHILD_SUBREAPER), so that it knows of those that outlive the
command. It is a process of its own, so that it keeps the privilege that the explorer gives up, and so that a command
can be started where threads run. Standard library only; started with ``python -I -S``.

Arguments: the descriptors of gate, control and status, ``group`` or ``same``, and the command.

* gate: the command begins at the first byte, and never when the other side closes it.
* control: each byte is a number of a signal to pass on; with ``group`` to the process group that the command leads.
* status: the command's process number (i32), then its exit code as a shell has it (i32), then the end of the pipe when
  nothing is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import struct
import sys

NUMBER = struct.Struct("=i")
_NOT_FOUND = 127
_NOT_RUNNABLE = 126
NEVER_BEGUN = 1
_PR_SET_CHILD_SUBREAPER = 36  # include/uapi/linux/prctl.h
_NOT_OURS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal sends to everybody: meant for the command."""
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def main(arguments: list[str]) -> int:
    """Supervise one command; the exit code means nothing."""
    gate, control, status = map(int, arguments[:3])
    own_group, command = arguments[3] == "group", arguments[4:]
    for descriptor in (gate, control, status):
        os.set_inheritable(descriptor, False)
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")
    woken, wakeup = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wakeup, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    pid = os.fork()
    if pid == 0:
        _become(command, gate, own_group)
    os.close(gate)
    for number in _NOT_OURS:
        signal.signal(number, signal.SIG_IGN)
    for descriptor in (0, 1, 2):  # whoever reads the command's output waits for its end, not for ours
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    _tell(status, pid)
    _stay(pid, own_group, control, status, woken)
    return 0


def _stay(pid: int, own_group: bool, control: int, status: int, woken: int) -> None:
    """Until there is no descendant."""
    watched = [control, woken]
    running = True
    while True:
        ready = select.select(watched, [], [])[0]
        if control in ready:
            numbers = os.read(control, 64)
            if not numbers:
                watched.remove(control)  # the explorer is gone; the command is not ours to end
            for number in numbers:
                if running or own_group:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        (os.killpg if own_group else os.kill)(pid, number)
        if woken in ready:
            os.read(woken, 4096)
        try:
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == pid:
                    running = False
                    code = os.waitstatus_to_exitcode(ended[1])
                    _tell(status, code if code >= 0 else 128 - code)
        except ChildProcessError:
            return


def _tell(status: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody wants to know any more
        os.write(status, NUMBER.pack(number))


def _become(command: list[str], gate: int, own_group: bool) -> None:
    """The child's side; never returns."""
    code = NEVER_BEGUN
    try:
        if own_group:
            os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.get_exec_path()  # imports a module: behind the gate that would be seen as the command's own doing
        if os.read(gate, 1):
            for number in _IGNORED_BY_PYTHON:
                signal.signal(number, signal.SIG_DFL)
            os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"kexplore: {command[0]}: {error.strerror}\n".encode("utf-8", "replace"))
        code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUNNABLE
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
