"""Reading numbers and strings at a place in bytes, where damage must end in a typed error."""

from __future__ import annotations

from symbols.dwarf.errors import DebugInfoError

Bytes = bytes | memoryview

_LONGEST_NAME = 4096
"""No name in a kernel comes near; a string without an end is damage."""


class Cursor:
    """Reads little-endian values one behind the other.

    Attributes:
        data: What is read.
        position: Of the next byte.
    """

    __slots__ = ("data", "end", "position")

    def __init__(self, data: Bytes, position: int = 0, end: int | None = None) -> None:
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    def unsigned(self, size: int) -> int:
        """A number of ``size`` bytes."""
        start = self.position
        self.position += size
        if self.position > self.end:
            raise DebugInfoError("debug information is cut off")
        return int.from_bytes(self.data[start : self.position], "little")

    def signed(self, size: int) -> int:
        """A number of ``size`` bytes, the highest bit its sign."""
        value = self.unsigned(size)
        return value - (1 << 8 * size) if value >> (8 * size - 1) else value

    def uleb(self) -> int:
        """An unsigned number of variable length."""
        data, position = self.data, self.position
        value = shift = 0
        while position < self.end:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                self.position = position
                return value
            shift += 7
            if shift > 70:
                raise DebugInfoError("debug information is damaged: an endless number")
        raise DebugInfoError("debug information is cut off")

    def sleb(self) -> int:
        """A signed number of variable length."""
        start = self.position
        value = self.uleb()
        bits = 7 * (self.position - start)
        return value - (1 << bits) if value >> (bits - 1) else value

    def take(self, count: int) -> bytes:
        """The next bytes."""
        start = self.position
        self.position += count
        if self.position > self.end:
            raise DebugInfoError("debug information is cut off")
        return bytes(self.data[start : self.position])

    def string(self) -> str:
        """A text that ends in a zero byte."""
        raw = raw_string(self.data, self.position)
        self.position += len(raw) + 1
        return raw.decode("utf-8", "replace")


def raw_string(data: Bytes, start: int) -> bytes:
    """The bytes up to the next zero.

    Raises:
        DebugInfoError: There is none.
    """
    piece = bytes(data[start : start + 64])
    end = piece.find(0)
    if end < 0:
        piece = bytes(data[start : start + _LONGEST_NAME])
        end = piece.find(0)
    if end < 0 or start < 0:
        raise DebugInfoError("debug information is damaged: a name without an end")
    return piece[:end]
