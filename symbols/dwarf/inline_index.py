"""The index of all inlined copies of a kernel: from a function's name to where it was inlined, in every source file.

Making it walks over all of ``.debug_info``, which takes half a minute for a kernel; so it is made once and kept as
bytes, in a format of its own: a head, then arrays one behind the other, all little-endian. The head says whose it is
and holds a checksum, so that a damaged index is known for one.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator

from symbols.dwarf.constants import At
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.image import Image
from symbols.dwarf.inlined_entries import inlined_in
from symbols.dwarf.units import STRINGS, Dwarf, Unit

FORMAT = 1
"""Raised whenever what is below changes."""
_MAGIC = b"kexplore inlined"
_HEAD = struct.Struct("<16sI20sIIII")
"""Magic, format, build id, checksum of the rest, names, copies, bytes of names."""

Progress = Callable[[int, int], None]


class InlineIndex:
    """All inlined copies of one kernel or module.

    Args:
        data: What ``build`` made.
        build_id: Of the file that it should be of, as hexadecimal digits.

    Raises:
        DebugInfoError: It is damaged, of another version, or of another file.
    """

    def __init__(self, data: bytes, build_id: str) -> None:
        if len(data) < _HEAD.size:
            raise DebugInfoError("the index of inlined copies is damaged: it is cut off")
        magic, version, owner, checksum, names, copies, size = _HEAD.unpack_from(data)
        if magic != _MAGIC or version != FORMAT:
            raise DebugInfoError("the index of inlined copies is of another version")
        if owner != _identity(build_id):
            raise DebugInfoError("the index of inlined copies is of another kernel")
        rest = memoryview(data)[_HEAD.size :]
        if len(rest) != 4 * (names + 1) * 2 + 16 * copies + size or zlib.crc32(rest) != checksum:
            raise DebugInfoError("the index of inlined copies is damaged: its checksum is wrong")
        self._name_ends, rest = _array("I", rest, names + 1)
        self._firsts, rest = _array("I", rest, names + 1)
        self._addresses, rest = _array("Q", rest, copies)
        self._entries, rest = _array("Q", rest, copies)
        self._names = bytes(rest)

    def __len__(self) -> int:
        """How many functions were inlined somewhere."""
        return len(self._name_ends) - 1

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._place(name) is not None

    @property
    def copies(self) -> int:
        """How many copies there are of all functions."""
        return len(self._addresses)

    def names(self) -> Iterator[str]:
        """The functions that were inlined somewhere, sorted by the bytes of their names."""
        for place in range(len(self)):
            yield self._name(place).decode("utf-8", "replace")

    def find(self, name: str) -> list[tuple[int, int]]:
        """The copies of a function as (address, entry), ascending; empty when it was inlined nowhere."""
        place = self._place(name)
        if place is None:
            return []
        span = slice(self._firsts[place], self._firsts[place + 1])
        return list(zip(self._addresses[span], self._entries[span], strict=True))

    def count(self, name: str) -> int:
        """How often a function was inlined."""
        place = self._place(name)
        return 0 if place is None else self._firsts[place + 1] - self._firsts[place]

    def _place(self, name: str) -> int | None:
        wanted = name.encode("utf-8", "surrogateescape")
        place = bisect_left(range(len(self)), wanted, key=self._name)
        return place if place < len(self) and self._name(place) == wanted else None

    def _name(self, place: int) -> bytes:
        return self._names[self._name_ends[place] : self._name_ends[place + 1]]


def build(image: Image, progress: Progress = lambda done, total: None) -> bytes:
    """Make the index of a file.

    Args:
        image: The file.
        progress: Called now and then with the bytes behind us and all bytes.

    Raises:
        DebugInfoError: It has no debug information, no build id, or is damaged.
    """
    dwarf = Dwarf(image)
    found: dict[bytes, array[int]] = {}
    total = len(dwarf.info)
    names = _Names(dwarf)
    for unit in dwarf.units():
        unit.refuse_split()
        of_unit: dict[int, array[int]] = {}
        for entry, origin, address in inlined_in(unit):
            copies = of_unit.get(origin)
            if copies is None:
                copies = of_unit[origin] = found.setdefault(names.of(unit, origin), array("Q"))
            copies.append(address)
            copies.append(entry)
        dwarf.forget()
        progress(unit.end, total)
    found.pop(b"", None)
    return _packed(found, image.build_id)


class _Names:
    """Names of functions by where they are described."""

    def __init__(self, dwarf: Dwarf) -> None:
        self._dwarf = dwarf

    def of(self, unit: Unit, offset: int) -> bytes:
        holder = unit if unit.start <= offset < unit.end else self._dwarf.unit_at(offset)
        named = holder.entry(offset).inherited(At.NAME)
        if named is None:
            return b""
        form, value = named.attributes[At.NAME]
        if form not in STRINGS:
            raise self._dwarf.in_supplement()
        return named.unit.string(form, value)


def _packed(found: dict[bytes, array[int]], build_id: str) -> bytes:
    name_ends, firsts = array("I", [0]), array("I", [0])
    addresses, entries = array("Q"), array("Q")
    names = bytearray()
    for name in sorted(found):
        flat = found[name]
        for address, entry in sorted(zip(flat[::2], flat[1::2], strict=True)):
            addresses.append(address)
            entries.append(entry)
        names += name
        name_ends.append(len(names))
        firsts.append(len(addresses))
    rest = b"".join([*map(_little, (name_ends, firsts, addresses, entries)), names])
    head = _HEAD.pack(
        _MAGIC, FORMAT, _identity(build_id), zlib.crc32(rest), len(found), len(addresses), len(names)
    )  # fmt: skip
    return head + rest


def _identity(build_id: str) -> bytes:
    if not build_id:
        raise DebugInfoError("the file has no build id, so an index of it could be taken for another's")
    return bytes.fromhex(build_id)[:20].ljust(20, b"\0")


def _array(kind: str, data: memoryview, count: int) -> tuple[array[int], memoryview]:
    values: array[int] = array(kind)
    size = values.itemsize * count
    values.frombytes(data[:size])
    if sys.byteorder == "big":
        values.byteswap()
    return values, data[size:]


def _little(values: array[int]) -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
