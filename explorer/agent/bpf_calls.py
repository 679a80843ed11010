"""The system calls behind the bpf engine, as far as Python has no words for them: ``bpf`` and ``perf_event_open``.

Probes are perf events of the kernel's own kprobe unit, and programs are attached to them by links: both are file
descriptors, which the kernel closes whichever way this process ends. Nothing of it is ever in tracefs.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct
from typing import Dict, Iterator, Optional, Tuple

_NUMBERS: Dict[str, Tuple[int, int]] = {
    "x86_64": (321, 298),
    "aarch64": (280, 241),
    "riscv64": (280, 241),
}
"""Numbers of ``bpf`` and ``perf_event_open`` by machine."""

# enum bpf_cmd and others of include/uapi/linux/bpf.h
_MAP_LOOKUP, _MAP_UPDATE, _MAP_DELETE, _MAP_NEXT_KEY = 1, 2, 3, 4
_INFO_BY_FD = 15
_LINK_CREATE = 28
_PERF_EVENT = 41
_ATTRIBUTE_SIZE = 64
_LINK_INFO = struct.Struct("=III4xII QII QQQ")
"""``struct bpf_link_info`` of a kprobe's perf event, up to ``missed`` and ``cookie``."""

_PROGRAM_INFO = struct.Struct("=208xQ")
"""``struct bpf_prog_info`` up to ``recursion_misses``."""

# include/uapi/linux/perf_event.h
_TRACEPOINT = 2
_CLOSE_ON_EXEC = 8
_PERF_ATTRIBUTE = struct.Struct("=IIQQQQQIIQQ40x")
_PERF_SIZE = 112

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class BpfCalls:
    """The calls, on this machine.

    Args:
        machine: The architecture as ``uname -m`` prints it.
    """

    def __init__(self, machine: str) -> None:
        self._bpf_number, self._perf_number = _NUMBERS[machine]

    @staticmethod
    def known(machine: str) -> bool:
        """Whether the numbers of this architecture's calls are known."""
        return machine in _NUMBERS

    def look_up(self, table: int, key: bytes, size: int) -> Optional[bytes]:
        """The value of a key in a map; None where it has none.

        Args:
            table: The map's descriptor.
            key: As it stands in memory.
            size: Bytes of a value, for a map by processor those of all processors.

        Raises:
            OSError: The kernel refused.
        """
        value = ctypes.create_string_buffer(size)
        try:
            self._map(_MAP_LOOKUP, table, key, ctypes.addressof(value))
        except FileNotFoundError:
            return None
        return value.raw

    def update(self, table: int, key: bytes, value: bytes) -> None:
        """Set the value of a key in a map.

        Raises:
            OSError: The kernel refused, for one because the map is full.
        """
        buffer = ctypes.create_string_buffer(value, len(value))
        self._map(_MAP_UPDATE, table, key, ctypes.addressof(buffer))

    def delete(self, table: int, key: bytes) -> None:
        """Take a key out of a map, if it is there.

        Raises:
            OSError: The kernel refused.
        """
        try:
            self._map(_MAP_DELETE, table, key, 0)
        except FileNotFoundError:
            return

    def keys(self, table: int, size: int) -> Iterator[bytes]:
        """The keys of a map; those that come and go meanwhile may be among them or not.

        Args:
            table: The map's descriptor.
            size: Bytes of a key.

        Raises:
            OSError: The kernel refused.
        """
        key: Optional[bytes] = None
        following = ctypes.create_string_buffer(size)
        while True:
            try:
                self._map(_MAP_NEXT_KEY, table, key, ctypes.addressof(following))
            except FileNotFoundError:
                return
            key = following.raw
            yield key

    def probe(self, unit: int, returns: Optional[int], symbol: str, offset: int) -> int:
        """A perf event at a place of the kernel: a kprobe is armed there as long as it is open.

        Args:
            unit: The type number of the kprobe unit.
            returns: For a return probe, the bit of ``config`` that says so.
            symbol: Where: a function of the kernel itself, or "" for an address.
            offset: Bytes from the symbol, or the address.

        Returns:
            Its descriptor.

        Raises:
            OSError: The kernel refused.
        """
        config = 0 if returns is None else 1 << returns
        name = ctypes.create_string_buffer(symbol.encode("ascii"))
        where = ctypes.addressof(name) if symbol else 0
        attribute = _PERF_ATTRIBUTE.pack(unit, _PERF_SIZE, config, 1, 0, 0, 0, 0, 0, where, offset)
        buffer = ctypes.create_string_buffer(attribute, _PERF_SIZE)
        # One processor is as good as any: the program runs on whichever the probe is hit.
        return self._call(self._perf_number, ctypes.addressof(buffer), -1, 0, -1, _CLOSE_ON_EXEC)

    def tracepoint(self, identity: int) -> int:
        """A perf event of a tracepoint.

        Args:
            identity: The tracepoint's id in tracefs.

        Returns:
            Its descriptor.

        Raises:
            OSError: The kernel refused.
        """
        attribute = _PERF_ATTRIBUTE.pack(_TRACEPOINT, _PERF_SIZE, identity, 1, 0, 0, 0, 0, 0, 0, 0)
        buffer = ctypes.create_string_buffer(attribute, _PERF_SIZE)
        return self._call(self._perf_number, ctypes.addressof(buffer), -1, 0, -1, _CLOSE_ON_EXEC)

    def attach(self, program: int, event: int, cookie: int) -> int:
        """Run a program at each hit of a perf event, which then stays open as long as this link.

        Args:
            program: Its descriptor.
            event: The perf event's.
            cookie: What the program learns of where it is.

        Returns:
            The link's descriptor.

        Raises:
            OSError: The kernel refused.
        """
        return self._bpf(_LINK_CREATE, struct.pack("=IIIIQ", program, event, _PERF_EVENT, 0, cookie))

    def missed(self, link: int) -> int:
        """Hits of a link's probe that ran no program, as kernels since 6.8 count them; 0 on others.

        Raises:
            OSError: The kernel refused.
        """
        missed: int = _LINK_INFO.unpack_from(self._info(link))[9]
        return missed

    def skipped(self, program: int) -> int:
        """How often a program was not run because another one was at work on that processor, of all that run it.

        Kernels since 6.7 count that; 0 on others.

        Raises:
            OSError: The kernel refused.
        """
        skipped: int = _PROGRAM_INFO.unpack_from(self._info(program))[0]
        return skipped

    def _info(self, descriptor: int) -> bytes:
        info = ctypes.create_string_buffer(256)
        self._bpf(_INFO_BY_FD, struct.pack("=IIQ", descriptor, len(info), ctypes.addressof(info)))
        return info.raw

    def _map(self, command: int, table: int, key: Optional[bytes], value: int) -> None:
        held = None if key is None else ctypes.create_string_buffer(key, len(key))
        where = 0 if held is None else ctypes.addressof(held)
        self._bpf(command, struct.pack("=I4xQQQ", table, where, value, 0))

    def _bpf(self, command: int, attribute: bytes) -> int:
        buffer = ctypes.create_string_buffer(attribute, _ATTRIBUTE_SIZE)
        return self._call(self._bpf_number, command, ctypes.addressof(buffer), _ATTRIBUTE_SIZE)

    def _call(self, number: int, *arguments: int) -> int:
        while True:
            result: int = _libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
            if result >= 0:
                return result
            error = ctypes.get_errno()
            if error != errno.EINTR:
                raise OSError(error, os.strerror(error))


def kprobe_unit(root: str) -> Optional[Tuple[int, int]]:
    """The kernel's kprobe unit: its type number and the bit for returns; None where it has none.

    Args:
        root: The directory that the machine's file tree begins at.
    """
    directory = os.path.join(root, "sys/bus/event_source/devices/kprobe")
    try:
        with open(os.path.join(directory, "type"), encoding="ascii") as file:
            unit = int(file.read())
        with open(os.path.join(directory, "format/retprobe"), encoding="ascii") as file:
            return unit, int(file.read().rpartition(":")[2])
    except (OSError, ValueError):
        return None


def release() -> Tuple[int, int]:
    """The first two numbers of the running kernel's version."""
    numbers = re.findall(r"\d+", os.uname().release)
    return int(numbers[0]), int(numbers[1])
