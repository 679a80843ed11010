"""The kernel's code as it stands in memory at this moment, read from /proc/kcore: code only, and a bounded piece of it.

/proc/kcore holds all of the machine's memory. Whoever asks the agent gets none of it but what lies between the marks of
the kernel's own text, or inside one function of a module, and the tables of the places that the kernel rewrites itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import struct
from typing import Iterator, Tuple

from explorer.agent.failure import RequestError
from explorer.agent.kernel_text import KernelText
from explorer.agent.protocol import CHUNK, Code

LARGEST = CHUNK
"""Bytes of code in one piece, at most."""
TABLES = {
    "jump_labels": ("__start___jump_table", "__stop___jump_table"),
    "static_calls": ("__start_static_call_sites", "__stop_static_call_sites"),
}
"""The tables of the places at which the kernel rewrites its own code, by the symbols that enclose each."""
_LARGEST_TABLE = 4 << 20

_PIECE = re.compile(r"0x([0-9a-f]{1,16}):([0-9]{1,6})")
_PAGE = 4096
_MADE_AT_RUN_TIME = ("bpf", "__builtin__ftrace", "__builtin__kprobes")
"""What kallsyms calls the modules of code that belongs to no module."""

# include/uapi/linux/elf.h: Elf64_Ehdr, Elf64_Phdr; in this machine's own byte order.
_FILE_HEADER = struct.Struct("=16s HHI QQQ I HHHHHH")
_SEGMENT = struct.Struct("=II QQQQQQ")
_MAGIC = b"\x7fELF\x02"
_LOADED = 1


def read(root: str, text: KernelText, piece: str) -> bytes:
    """A piece of the kernel's code.

    Args:
        root: The directory that the machine's file tree begins at.
        text: Where the code is.
        piece: ``ADDRESS:LENGTH``, the address in hexadecimal with 0x, the length in decimal.

    Raises:
        RequestError: It is not well-formed, not code, or not to be read.
    """
    match = _PIECE.fullmatch(piece)
    if match is None:
        raise RequestError(Code.BAD_REQUEST, f"{piece!r} is no piece of code", "text:0xADDRESS:LENGTH")
    address, length = int(match.group(1), 16), int(match.group(2))
    if not 0 < length <= LARGEST:
        raise RequestError(Code.BAD_REQUEST, f"code is read in pieces of 1 to {LARGEST} bytes, not {length}")
    try:
        # Before anything else: without privilege the addresses are hidden too, and that is not the cause to name.
        with _opened(root) as descriptor:
            _require_code(text, address, address + length)
            return _read(descriptor, address, length)
    except OSError as error:
        raise RequestError(Code.FAILED, f"cannot read the kernel's code: {error.strerror}") from None


def read_table(root: str, text: KernelText, name: str) -> bytes:
    """One of ``TABLES``, as it stands in memory: where the kernel rewrites its own code.

    Raises:
        RequestError: This kernel has none, or it is not to be read.
    """
    first, last = (text.mark(mark) for mark in TABLES[name])
    if first is None or last is None or not 0 <= last - first <= _LARGEST_TABLE:
        raise RequestError(Code.NO_SUCH_FACT, f"this kernel does not tell where its {name} are")
    try:
        with _opened(root) as descriptor:
            return _read(descriptor, first, last - first)
    except OSError as error:
        raise RequestError(Code.FAILED, f"cannot read the kernel's {name}: {error.strerror}") from None


@contextlib.contextmanager
def _opened(root: str) -> Iterator[int]:
    try:
        descriptor = os.open(os.path.join(root, "proc/kcore"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _closed(error, root) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _require_code(text: KernelText, start: int, end: int) -> None:
    core = text.core()
    if core is None:
        raise RequestError(
            Code.NOT_PERMITTED, "this kernel hides its addresses", "as root: sysctl kernel.kptr_restrict=1"
        )
    if core.start <= start and end <= core.end:
        return
    place = text.at(start)
    if place is None or not place.symbol.module or place.symbol.module in _MADE_AT_RUN_TIME:
        raise RequestError(Code.BAD_REQUEST, f"there is no code of the kernel or of a module at {start:#x}")
    function = place.symbol
    following = text.at(function.end)
    limit = function.end
    if following is None or following.symbol.start != function.end or following.symbol.module != function.module:
        # The last function of its module: what follows may be anybody's, but the rest of its page is code or filler.
        limit = min(limit, (function.start | (_PAGE - 1)) + 1)
    if end > limit:
        raise RequestError(Code.BAD_REQUEST, f"{function.name} is known to reach to {limit:#x} only")


def _read(descriptor: int, address: int, length: int) -> bytes:
    offset = _offset_of(descriptor, address, length)
    data = b""
    while len(data) < length:
        more = os.pread(descriptor, length - len(data), offset + len(data))
        if not more:
            raise RequestError(Code.FAILED, f"/proc/kcore ends before {address + length:#x}")
        data += more
    return data


def _offset_of(descriptor: int, address: int, length: int) -> int:
    """Where in the file a range of memory lies."""
    first, count = _segments(descriptor)
    table = os.pread(descriptor, count * _SEGMENT.size, first)
    for kind, _, offset, start, _, _, size, _ in _SEGMENT.iter_unpack(table[: len(table) // 56 * 56]):
        if kind == _LOADED and start <= address and address + length <= start + size:
            return int(offset + address - start)
    raise RequestError(Code.FAILED, f"/proc/kcore has no memory at {address:#x}")


def _segments(descriptor: int) -> Tuple[int, int]:
    """Where the table of segments begins, and how many there are."""
    header = os.pread(descriptor, _FILE_HEADER.size, 0)
    if len(header) < _FILE_HEADER.size or not header.startswith(_MAGIC):
        raise RequestError(
            Code.KERNEL_CANNOT, "/proc/kcore is empty here, so the kernel's code cannot be read",
            "a container hides it: run kexplore on the host",
        )  # fmt: skip
    fields = _FILE_HEADER.unpack(header)
    return fields[5], fields[10]


def _closed(error: OSError, root: str) -> RequestError:
    """Why /proc/kcore cannot be opened."""
    if error.errno == errno.ENOENT:
        return RequestError(
            Code.KERNEL_CANNOT, "this kernel does not offer /proc/kcore, so its code cannot be read",
            "the kernel needs CONFIG_PROC_KCORE; some containers hide it",
        )  # fmt: skip
    if error.errno == errno.EACCES:
        return RequestError(Code.NOT_PERMITTED, "the kernel's code can be read by root only", "run kexplore with sudo")
    if error.errno == errno.EPERM:
        if _locked_down(root):
            return RequestError(
                Code.NOT_PERMITTED, "the kernel is locked down: nobody may read its code (/proc/kcore)",
                "kexplore doctor shows the lockdown; entry and return probes do not need the code",
            )  # fmt: skip
        return RequestError(
            Code.NOT_PERMITTED, "this root may not read the kernel's code: it lacks CAP_SYS_RAWIO",
            "a container takes it away: run kexplore on the host",
        )  # fmt: skip
    return RequestError(Code.FAILED, f"cannot open /proc/kcore: {error.strerror}")


def _locked_down(root: str) -> bool:
    try:
        with open(os.path.join(root, "sys/kernel/security/lockdown"), encoding="ascii") as mode:
            return "[confidentiality]" in mode.read()
    except OSError:
        return False  # no lockdown, or it cannot be told: then the capability is the likelier cause
