"""What the agent reads out to the explorer: facts that have a name here, and no other file of the machine.

=========================== ============================================================================
name                        what it is
=========================== ============================================================================
kallsyms                    every symbol of the kernel and its modules, with addresses where they are shown
modules                     the loaded modules
btf:NAME                    type information of ``vmlinux`` or of a module
btf                         the names that ``btf:NAME`` takes, one a line
available_filter_functions  what ftrace can trace
traceable_addresses         the same with the addresses of the call sites, since 6.5
enabled_functions           what is traced by ftrace at this moment, by whomever
kprobe_blacklist            what kprobes refuse
kprobes_optimization        whether breakpoints become jumps: 1 or 0
kprobes                     every armed kprobe, by whomever
dynamic_events              every dynamic event defined, by whomever
tracing_readme              the tracing syntax of this kernel
syscall_formats             the arguments of every system call, as the tracepoints at their entries have them
config                      the options that the kernel was built with, as text
lockdown                    the lockdown mode
notes                       ELF notes of the kernel, its build id among them
notes:NAME                  the same of a loaded module
cpuinfo                     processors and their flags
jump_labels, static_calls   the tables of the places at which the kernel rewrites its own code
text:ADDRESS:LENGTH         code of the kernel or of a module as it is in memory now (see ``kernel_code``)
=========================== ============================================================================
"""

from __future__ import annotations

import errno
import io
import os
import re
import zlib
from typing import BinaryIO, Dict, Iterator, List, Tuple

from explorer.agent import kernel_code, protocol, tracefs_place
from explorer.agent.failure import RequestError
from explorer.agent.kernel_text import KernelText
from explorer.agent.protocol import Code

_BTF = "sys/kernel/btf"
_DEBUGFS_HINT = "mount -t debugfs debugfs /sys/kernel/debug"

# Paths under the root directory; TRACEFS stands for wherever tracefs is mounted. The first that exists counts.
_PATHS: Dict[str, Tuple[List[str], str]] = {
    "kallsyms": (["proc/kallsyms"], "the kernel needs CONFIG_KALLSYMS"),
    "modules": (["proc/modules"], "the kernel needs CONFIG_MODULES"),
    "available_filter_functions": (["TRACEFS/available_filter_functions"], "the kernel needs CONFIG_DYNAMIC_FTRACE"),
    "traceable_addresses": (["TRACEFS/available_filter_functions_addrs"], "the kernel needs to be 6.5 or newer"),
    "enabled_functions": (["TRACEFS/enabled_functions"], "the kernel needs CONFIG_DYNAMIC_FTRACE"),
    "kprobe_blacklist": (["sys/kernel/debug/kprobes/blacklist"], _DEBUGFS_HINT),
    "kprobes_optimization": (["proc/sys/debug/kprobes-optimization"], "the kernel needs CONFIG_OPTPROBES"),
    "kprobes": (["sys/kernel/debug/kprobes/list"], _DEBUGFS_HINT),
    "dynamic_events": (["TRACEFS/dynamic_events", "TRACEFS/kprobe_events"], "the kernel needs CONFIG_KPROBE_EVENTS"),
    "tracing_readme": (["TRACEFS/README"], "the kernel needs CONFIG_TRACING"),
    "lockdown": (["sys/kernel/security/lockdown"], "the kernel has no lockdown, or securityfs is not mounted"),
    "notes": (["sys/kernel/notes"], ""),
    "cpuinfo": (["proc/cpuinfo"], ""),
}
# What other people have armed at this moment: no lasting property of the kernel.
_MOMENTARY = frozenset({"enabled_functions", "kprobes", "dynamic_events"})
STANDING = ("config", "btf", "syscall_formats", *(name for name in _PATHS if name not in _MOMENTARY))
"""The facts that describe the kernel for as long as it runs; ``btf:NAME`` follows from ``btf``."""

_MODULE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Facts:
    """The facts of the machine whose file tree begins at ``root``."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._text = KernelText(root)

    def chunks(self, name: str, compress: bool) -> Iterator[Tuple[bytes, bool]]:
        """Read a fact in pieces of at most ``protocol.CHUNK`` bytes, each with whether it is the last.

        Yields:
            One piece at least, however empty the fact is.

        Raises:
            RequestError: There is no such fact, or it cannot be read; also between pieces.
        """
        try:
            with self._open(name) as source:
                pieces = _read(source)
                yield from _with_last(_recut(_deflated(pieces)) if compress else pieces)
        except (OSError, EOFError, zlib.error) as error:
            raise _unreadable(name, error) from None

    def text(self, name: str) -> str:
        """A small fact, whole.

        Raises:
            RequestError: There is no such fact, or it cannot be read.
        """
        return b"".join(piece for piece, _ in self.chunks(name, compress=False)).decode("utf-8", "surrogateescape")

    def _open(self, name: str) -> BinaryIO:
        if name == "config":
            return self._open_config()
        if name == "syscall_formats":
            return self._open_syscall_formats()
        if name == "btf":
            return io.BytesIO("".join(f"{entry}\n" for entry in self._btf_names()).encode())
        if name.startswith("btf:"):
            module = name[len("btf:") :]
            if not _MODULE_NAME.fullmatch(module):
                raise RequestError(Code.BAD_REQUEST, f"{module!r} is no module's name")
            needs = "the module was built without type information, or the kernel without CONFIG_DEBUG_INFO_BTF"
            return self._open_first(name, [f"{_BTF}/{module}"], needs)
        if name.startswith("text:"):
            return io.BytesIO(kernel_code.read(self._root, self._text, name[len("text:") :]))
        if name in kernel_code.TABLES:
            return io.BytesIO(kernel_code.read_table(self._root, self._text, name))
        if name.startswith("notes:"):
            module = name[len("notes:") :]
            if not _MODULE_NAME.fullmatch(module):
                raise RequestError(Code.BAD_REQUEST, f"{module!r} is no module's name")
            return self._open_first(name, [f"sys/module/{module}/notes/.note.gnu.build-id"], "is the module loaded?")
        if name not in _PATHS:
            raise RequestError(Code.NO_SUCH_FACT, f"there is no fact named {name!r}")
        return self._open_first(name, *_PATHS[name])

    def _open_first(self, name: str, candidates: List[str], absent_hint: str) -> BinaryIO:
        tracefs = tracefs_place.find(self._root)
        for candidate in candidates:
            if candidate.startswith("TRACEFS/"):
                if tracefs is None:
                    continue
                path = os.path.join(tracefs, candidate[len("TRACEFS/") :])
            else:
                path = os.path.join(self._root, candidate)
            try:
                return open(path, "rb", buffering=0)
            except FileNotFoundError:
                continue
        if candidates[0].startswith("TRACEFS/") and tracefs is None:
            raise tracefs_place.absent(self._root)
        raise RequestError(Code.NO_SUCH_FACT, f"this kernel does not offer {name}", absent_hint)

    def _open_config(self) -> BinaryIO:
        release = os.uname().release
        packed = os.path.join(self._root, "proc/config.gz")
        if os.path.exists(packed):
            import gzip  # costs the agent's start more than all else here, and is seldom wanted

            return gzip.open(packed, "rb")  # type: ignore[return-value]  # a BinaryIO in all but name
        return self._open_first(
            "config", [f"boot/config-{release}", f"lib/modules/{release}/config"],
            f"the kernel needs CONFIG_IKCONFIG_PROC, or its package a /boot/config-{release}",
        )  # fmt: skip

    def _open_syscall_formats(self) -> BinaryIO:
        tracefs = tracefs_place.find(self._root)
        if tracefs is None:
            raise tracefs_place.absent(self._root)
        events = os.path.join(tracefs, "events/syscalls")
        try:
            entries = sorted(name for name in os.listdir(events) if name.startswith("sys_enter_"))
        except FileNotFoundError:
            raise RequestError(
                Code.NO_SUCH_FACT,
                "this kernel does not offer syscall_formats",
                "the kernel needs CONFIG_FTRACE_SYSCALLS",
            ) from None
        texts = []
        for entry in entries:
            with open(os.path.join(events, entry, "format"), "rb") as source:
                texts.append(source.read())
        return io.BytesIO(b"".join(texts))

    def _btf_names(self) -> List[str]:
        try:
            return sorted(os.listdir(os.path.join(self._root, _BTF)))
        except FileNotFoundError:
            raise RequestError(
                Code.NO_SUCH_FACT, "this kernel does not offer btf", "the kernel needs CONFIG_DEBUG_INFO_BTF"
            ) from None


def _read(source: BinaryIO) -> Iterator[bytes]:
    # Files of /proc hand out a page or so per read; fewer, fuller chunks spare the explorer work.
    pending = bytearray()
    while True:
        piece = source.read(protocol.CHUNK - len(pending))
        pending += piece
        if not piece or len(pending) == protocol.CHUNK:
            yield bytes(pending)
            pending.clear()
        if not piece:
            return


def _deflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    squeeze = zlib.compressobj(level=1)
    for piece in pieces:
        yield squeeze.compress(piece)
    yield squeeze.flush()


def _recut(pieces: Iterator[bytes]) -> Iterator[bytes]:
    pending = bytearray()
    for piece in pieces:
        pending += piece
        while len(pending) >= protocol.CHUNK:
            yield bytes(pending[: protocol.CHUNK])
            del pending[: protocol.CHUNK]
    yield bytes(pending)


def _with_last(pieces: Iterator[bytes]) -> Iterator[Tuple[bytes, bool]]:
    held = next(pieces)
    for piece in pieces:
        if piece:
            yield held, False
            held = piece
    yield held, True


def _unreadable(name: str, error: Exception) -> RequestError:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EACCES:
        return RequestError(Code.NOT_PERMITTED, f"{name} can be read by root only", "run kexplore with sudo")
    if number == errno.EPERM:
        return RequestError(
            Code.NOT_PERMITTED, f"the kernel forbids reading {name}", "a locked-down kernel does: kexplore doctor"
        )
    return RequestError(Code.FAILED, f"cannot read {name}: {error}")
