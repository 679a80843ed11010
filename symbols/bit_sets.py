"""Sets of small numbers as Python integers: bit N is set when N belongs to the set.

Intersecting two sets of 64,000 names takes a microsecond this way, without any package of compiled code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

_NONZERO = re.compile(rb"[^\0]")
_BITS_OF_BYTE = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))
_SPARSE = 1_500


def members(bits: int) -> Iterator[int]:
    """The members of a set, smallest first."""
    data = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    for found in _NONZERO.finditer(data):
        index = found.start()
        for bit in _BITS_OF_BYTE[data[index]]:
            yield index * 8 + bit


def from_members(lists: Iterable[Sequence[int]], size: int) -> int:
    """The set of all numbers in some lists, each number below ``size``."""
    lists = list(lists)
    if sum(map(len, lists)) < _SPARSE:
        packed = bytearray((size + 7) // 8)
        for numbers in lists:
            for number in numbers:
                packed[number >> 3] |= 1 << (number & 7)
        return int.from_bytes(packed, "little")
    # One byte a number is quicker to fill but takes a fixed time to fold into bits.
    digits = bytearray(b"0") * size
    for numbers in lists:
        for number in numbers:
            digits[~number] = 0x31
    return int(digits, 2)


def where(column: bytes | bytearray, wanted: Iterable[int]) -> int:
    """The positions of a column that hold one of the wanted bytes."""
    digits = bytearray(b"0") * 256
    for byte in wanted:
        digits[byte] = 0x31
    return int(column[::-1].translate(digits) or b"0", 2)
