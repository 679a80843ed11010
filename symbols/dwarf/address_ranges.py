"""From an address to the unit that describes its code, without looking at the others.

``.debug_aranges`` tells; a unit that it leaves out (clang writes none) is asked itself, by its first entry alone.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right

from symbols.dwarf.bytes_at import Cursor
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.ranges import ranges
from symbols.dwarf.units import Dwarf, Unit


class AddressRanges:
    """Which unit an address belongs to.

    Args:
        dwarf: Whose units.
    """

    def __init__(self, dwarf: Dwarf) -> None:
        self._dwarf = dwarf
        self._listed: set[int] = set()
        self._asked = False
        self._starts, self._ends, self._units = array("Q"), array("Q"), array("Q")
        self._sort(self._from_section())
        dwarf.some_starts = sorted(self._listed)

    def unit_of(self, address: int) -> Unit | None:
        """The unit that describes the code at an address; None where none does."""
        start = self._find(address)
        if start is None and not self._asked:
            self._asked = True
            asked = self._from_units()
            if asked:
                self._sort([*zip(self._starts, self._ends, self._units, strict=True), *asked])
            start = self._find(address)
        return None if start is None else self._dwarf.unit(start)

    def _find(self, address: int) -> int | None:
        place = bisect_right(self._starts, address) - 1
        if place >= 0 and address < self._ends[place]:
            return self._units[place]
        return None

    def _sort(self, found: list[tuple[int, int, int]]) -> None:
        found.sort()
        self._starts = array("Q", (start for start, _, _ in found))
        self._ends = array("Q", (end for _, end, _ in found))
        self._units = array("Q", (unit for _, _, unit in found))

    def _from_section(self) -> list[tuple[int, int, int]]:
        section = self._dwarf.image.section(".debug_aranges")
        found: list[tuple[int, int, int]] = []
        position = 0
        while position < len(section):
            cursor = Cursor(section, position)
            length, offset_size = cursor.unsigned(4), 4
            if length == 0xFFFFFFFF:
                length, offset_size = cursor.unsigned(8), 8
            end = cursor.position + length
            cursor.end = min(end, len(section))
            cursor.unsigned(2)
            unit, size, segment = cursor.unsigned(offset_size), cursor.unsigned(1), cursor.unsigned(1)
            if size not in (4, 8) or segment or end > len(section):
                raise DebugInfoError("debug information is damaged: its list of addresses makes no sense")
            behind = cursor.position - position
            cursor.position += -behind % (2 * size)
            pairs = section[cursor.position : end]
            whole = pairs[: len(pairs) // (2 * size) * 2 * size]
            listed = struct.iter_unpack("<QQ" if size == 8 else "<II", whole)
            found += [(low, low + count, unit) for low, count in listed if count]
            self._listed.add(unit)
            position = end
        return found

    def _from_units(self) -> list[tuple[int, int, int]]:
        return [
            (low, high, unit.start)
            for unit in self._dwarf.units()
            if unit.start not in self._listed and self._dwarf.is_source(unit)
            for low, high in ranges(unit.top)
        ]
