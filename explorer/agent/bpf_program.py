"""The bpf program: compiled once, in a process of its own, which hands the kernel's descriptors over and ends.

So the compiler's hundred megabytes, its noise and its mistakes are not this process's, nothing waits for it, and bcc is
never imported here. Before it hands over, the other process sees that the program really runs: at a system call of its
own.
"""

from __future__ import annotations

import array
import ctypes
import json
import os
import select
import signal
import socket
import time
from typing import Dict, List, NamedTuple, NoReturn, Optional, Tuple

from explorer.agent import bcc_library, bcc_package, bpf_calls, bpf_layout
from explorer.agent.bpf_calls import BpfCalls
from explorer.agent.bpf_requirements import BccMissing
from explorer.agent.event_format import EventFormat
from explorer.agent.failure import RequestError
from explorer.agent.kernel_text import KernelText
from explorer.agent.protocol import Code
from explorer.agent.quiet import quiet
from explorer.agent.tracefs import Tracefs

_SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bpf_program.c")
_MAPS = ("settings", "counts", "configuration", "focus", "cells", "calls", "events")
FORK, EXIT = "sched/sched_process_fork", "sched/sched_process_exit"
"""The tracepoints that tell who descends of whom."""
_TRIED = ("__x64_sys_getpgid", "__arm64_sys_getpgid", "__riscv_sys_getpgid", "__se_sys_getpgid")
"""Where the program is tried: the entry of a system call that hardly anybody makes."""
_LONGEST_ANSWER = 1 << 16
_PATIENCE = 120.0
"""Seconds for the compiler; emulated it takes ten."""
_PR_SET_PDEATHSIG = 1


class Program(NamedTuple):
    """The program that runs at probes, the two that follow a focus, and their maps, as descriptors."""

    program: int
    born: int
    gone: int
    settings: int
    counts: int
    configuration: int
    focus: int
    cells: int
    calls: int
    events: int

    def close(self) -> None:
        """Give it up."""
        for descriptor in self:
            os.close(descriptor)


class Compilation:
    """The other process, at work.

    Args:
        root: The directory that the machine's file tree begins at.
        machine: The architecture as ``uname -m`` prints it.

    Raises:
        RequestError: The program cannot run here, which is known before the work.
        OSError: There is no room for another process.
    """

    def __init__(self, root: str, machine: str) -> None:
        require(root, machine)
        self._ours, theirs = socket.socketpair()
        self._began = time.monotonic()
        self._pid = os.fork()
        if self._pid == 0:
            _work(theirs, root, machine)
        theirs.close()

    def fileno(self) -> int:
        """A descriptor that is readable once it is done."""
        return self._ours.fileno()

    @property
    def overdue(self) -> float:
        """When patience ends, in seconds of the monotonic clock."""
        return self._began + _PATIENCE

    def finish(self) -> Program:
        """Take the program over; waits for it.

        Raises:
            RequestError: It could not be made, with the cause.
        """
        answer, descriptors = b"", array.array("i")
        try:
            if select.select([self._ours], [], [], max(0.0, self.overdue - time.monotonic()))[0]:
                answer, received, _, _ = socket.recv_fds(self._ours, _LONGEST_ANSWER, len(Program._fields))
                descriptors.extend(received)
        finally:
            self.abandon()
        if not answer:
            late = time.monotonic() >= self.overdue
            cause = "it took too long" if late else "it ended without a word: perhaps memory is short"
            raise RequestError(Code.FAILED, f"the bpf program could not be compiled: {cause}", "--engine tracefs")
        told = json.loads(answer)
        if told:
            raise RequestError(Code.KERNEL_CANNOT, told["message"], told["hint"])
        return Program(*descriptors)

    def abandon(self) -> None:
        """End the other process, whatever it does."""
        self._ours.close()
        try:
            os.kill(self._pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        os.waitpid(self._pid, 0)


def require(root: str, machine: str) -> None:
    """See what can be seen without compiling anything.

    Raises:
        RequestError: There can be no bpf engine here.
    """
    if machine not in bpf_layout.MACHINES or not BpfCalls.known(machine):
        raise RequestError(Code.KERNEL_CANNOT, f"the bpf engine does not know the architecture {machine}")
    if bpf_calls.release() < (5, 15):
        raise RequestError(Code.KERNEL_CANNOT, "the bpf engine needs a kernel since 5.15 (attach cookies)")
    if bpf_calls.kprobe_unit(root) is None:
        raise RequestError(Code.KERNEL_CANNOT, "this kernel has no kprobe events for perf (CONFIG_KPROBE_EVENTS)")
    missing = bcc_package.why_not(root)
    if missing is not None:
        raise RequestError(Code.KERNEL_CANNOT, missing.message, missing.hint)


def _work(agent: socket.socket, root: str, machine: str) -> NoReturn:
    """The other process, from its first instruction to its last."""
    try:
        _leave_the_agent(agent)
        with quiet() as printed:
            descriptors, error = _outcome(root, machine)
        if error is None:
            socket.send_fds(agent, [b"{}"], descriptors)
        else:
            agent.send(json.dumps(_told(error, printed.first_error)).encode())
    finally:
        os._exit(0)


def _leave_the_agent(agent: socket.socket) -> None:
    """Keep nothing of its descriptors and signals, and end when it does."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    limit = os.sysconf("SC_OPEN_MAX")
    os.closerange(0, agent.fileno())
    os.closerange(agent.fileno() + 1, limit if limit > 0 else 1 << 16)
    for standard in range(3):
        opened = os.open(os.devnull, os.O_RDWR)
        assert opened == standard


def _outcome(root: str, machine: str) -> Tuple[List[int], Optional[Exception]]:
    try:
        return _compiled(root, machine), None
    except Exception as error:  # whatever bcc raises is to be told
        return [], error


def _told(error: Exception, printed: str) -> Dict[str, str]:
    """What went wrong, for people."""
    if isinstance(error, (RequestError, BccMissing)):
        return {"message": error.message, "hint": error.hint}
    said = f": {printed[:200]}" if printed else ""
    message = f"the bpf program could not be made ({type(error).__name__}: {str(error)[:200]}){said}"
    return {"message": message, "hint": "--engine tracefs"}


def _compiled(root: str, machine: str) -> List[int]:
    bcc = bcc_library.load(root)
    with open(_SOURCE, encoding="ascii") as file:
        text = file.read()
    child_at = EventFormat.parse(Tracefs(root).format(FORK)).fields["child_pid"].offset
    flags = [f"-D{name}={value}" for name, value in bpf_layout.definitions(machine, child_at).items()]
    made = bcc.BPF(text=text, cflags=[*flags, "-w"])
    kinds = {"probe": bcc.BPF.KPROBE, "born": bcc.BPF.TRACEPOINT, "gone": bcc.BPF.TRACEPOINT}
    functions = [made.load_func(name, kind).fd for name, kind in kinds.items()]
    program = Program(*functions, *(made[name].map_fd for name in _MAPS))
    _try(program, root, machine)
    return list(program)


def _try(program: Program, root: str, machine: str) -> None:
    """See that it counts a call of our own.

    Raises:
        RequestError: It does not.
    """
    calls, unit = BpfCalls(machine), bpf_calls.kprobe_unit(root)
    text = KernelText(root)
    symbol = next((name for name in _TRIED if text.instances(name)), None)
    if symbol is None or unit is None:
        raise RequestError(
            Code.KERNEL_CANNOT,
            "the bpf program could not be tried: addresses are hidden",
            "as root: sysctl kernel.kptr_restrict=1",
        )
    key = bytes(4)
    calls.update(program.settings, key, bpf_layout.nothing())
    event = calls.probe(unit[0], None, symbol, 0)
    link = calls.attach(program.program, event, 0)
    os.getpgid(0)
    os.close(link)
    os.close(event)
    counted = calls.look_up(program.counts, key, bpf_layout.COUNT.size * possible_cpus(root)) or b""
    hits = sum(each[0] for each in bpf_layout.COUNT.iter_unpack(counted))
    calls.delete(program.settings, key)
    if not hits:
        raise RequestError(
            Code.KERNEL_CANNOT, "the bpf program was attached on trial and did not see a call", "--engine tracefs"
        )


def possible_cpus(root: str) -> int:
    """How many processors a map by processor has values for."""
    with open(os.path.join(root, "sys/devices/system/cpu/possible"), encoding="ascii") as file:
        ranges = file.read().strip().split(",")
    return 1 + max(int(each.rpartition("-")[2]) for each in ranges)
