"""Lists of address ranges: which code an entry stands for when it is in several pieces."""

from __future__ import annotations

from collections.abc import Iterator

from symbols.dwarf.bytes_at import Cursor
from symbols.dwarf.constants import At, Form
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.units import Entry, Unit

_MOST = 100_000
"""Ranges in one list; nothing real comes near."""


def ranges(entry: Entry) -> Iterator[tuple[int, int]]:
    """The code of an entry as (first address, address after the last byte).

    Raises:
        DebugInfoError: Its list is damaged.
    """
    low = entry.address(At.LOW_PC)
    if At.RANGES in entry.attributes:
        form, value = entry.attributes[At.RANGES]
        yield from listed(entry.unit, form, int(value))
    elif low is not None:
        form, high = entry.attributes.get(At.HIGH_PC, (Form.DATA1, 1))
        yield low, entry.address(At.HIGH_PC) or low + int(high)


def first_address(entry: Entry) -> int | None:
    """The first address of an entry with a list of ranges; None when the list is empty."""
    return next((low for low, _ in ranges(entry)), None)


def listed(unit: Unit, form: int, value: int) -> Iterator[tuple[int, int]]:
    """The ranges of one list, those without bytes left out."""
    pairs = _lists_5(unit, form, value) if unit.encoding.version >= 5 else _lists_4(unit, value)
    for number, (low, high) in enumerate(pairs):
        if number > _MOST:
            raise DebugInfoError("debug information is damaged: a list of ranges has no end")
        if low < high:
            yield low, high


def _lists_4(unit: Unit, offset: int) -> Iterator[tuple[int, int]]:
    size = unit.encoding.address_size
    cursor = Cursor(unit.dwarf.image.section(".debug_ranges"), offset)
    base, highest = unit.low, (1 << 8 * size) - 1
    while True:
        low, high = cursor.unsigned(size), cursor.unsigned(size)
        if low == highest:
            base = high
        elif not low and not high:
            return
        else:
            yield base + low, base + high


def _lists_5(unit: Unit, form: int, value: int) -> Iterator[tuple[int, int]]:
    size = unit.encoding.address_size
    section = unit.dwarf.image.section(".debug_rnglists")
    offset = value
    if form == Form.RNGLISTX:
        start = unit.bases.get(At.RNGLISTS_BASE, 12 if unit.encoding.offset_size == 4 else 20)
        step = unit.encoding.offset_size
        offset = start + Cursor(section, start + value * step).unsigned(step)
    cursor = Cursor(section, offset)
    base = unit.low
    while kind := cursor.unsigned(1):  # DW_RLE
        match kind:
            case 1:
                base = unit.address(Form.ADDRX, cursor.uleb())
            case 2:
                yield unit.address(Form.ADDRX, cursor.uleb()), unit.address(Form.ADDRX, cursor.uleb())
            case 3:
                low = unit.address(Form.ADDRX, cursor.uleb())
                yield low, low + cursor.uleb()
            case 4:
                yield base + cursor.uleb(), base + cursor.uleb()
            case 5:
                base = cursor.unsigned(size)
            case 6:
                yield cursor.unsigned(size), cursor.unsigned(size)
            case 7:
                low = cursor.unsigned(size)
                yield low, low + cursor.uleb()
            case _:
                raise DebugInfoError(f"ranges of kind {kind} are not known here")
