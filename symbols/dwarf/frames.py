"""Where the frame of a function is while an instruction runs: the distance from the stack pointer to the CFA.

Read from ``.debug_frame``, of the one function that is asked for. Locations on the stack count from
there (``DW_OP_fbreg`` with a frame base of ``DW_OP_call_frame_cfa``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from symbols.dwarf.bytes_at import Cursor
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.image import Image


@dataclasses.dataclass(frozen=True, slots=True)
class FrameBase:
    """The CFA: the value of a register, by its DWARF number, and bytes to be added."""

    register: int
    offset: int


@dataclasses.dataclass(frozen=True, slots=True)
class _Common:
    """What several functions have in common (a CIE)."""

    code_step: int
    start: int
    end: int


def frame_base_at(image: Image, address: int) -> FrameBase | None:
    """The CFA when the instruction at ``address`` is about to run; None where nothing tells it.

    Raises:
        DebugInfoError: The table is damaged.
    """
    section = image.section(".debug_frame")
    commons: dict[int, _Common] = {}
    for start, end, common_at in _functions(section):
        common = commons.get(common_at)
        if common is None:
            common = commons[common_at] = _common(section, common_at)
        cursor = Cursor(section, start, end)
        low = cursor.unsigned(8)
        if not low <= address < low + cursor.unsigned(8):
            continue
        rules = _Rules(common)
        rules.run(Cursor(section, common.start, common.end), None)
        rules.run(cursor, address - low)
        return rules.base
    return None


def _functions(section: memoryview) -> Iterator[tuple[int, int, int]]:
    """Each function's part of the table (an FDE): its start, its end, where its CIE is."""
    position, size = 0, len(section)
    while position + 8 <= size:
        length = int.from_bytes(section[position : position + 4], "little")
        if length == 0xFFFFFFFF:
            raise DebugInfoError("frame tables of 64 bits are not known here")
        end = position + 4 + length
        if end > size or not length:
            raise DebugInfoError("debug information is damaged: a frame table has no end")
        identity = int.from_bytes(section[position + 4 : position + 8], "little")
        if identity != 0xFFFFFFFF:
            yield position + 8, end, identity
        position = end


def _common(section: memoryview, position: int) -> _Common:
    cursor = Cursor(section, position)
    length = cursor.unsigned(4)
    end = cursor.position + length
    if end > len(section):
        raise DebugInfoError("debug information is damaged: a frame table has no end")
    cursor.end = end
    cursor.unsigned(4)
    version = cursor.unsigned(1)
    augmentation = cursor.string()
    if augmentation not in ("", "S"):
        raise DebugInfoError(f"frame tables of kind {augmentation!r} are not known here")
    if version >= 4:
        cursor.unsigned(2)
    code_step = cursor.uleb()
    cursor.sleb()
    if version >= 3:
        cursor.uleb()
    else:
        cursor.unsigned(1)
    return _Common(code_step, cursor.position, end)


class _Rules:
    """Runs the instructions of a table, of which only those that move the CFA matter (DWARF 5, section 6.4.2)."""

    def __init__(self, common: _Common) -> None:
        self._common = common
        self._register, self._offset = -1, 0
        self._kept: list[tuple[int, int]] = []

    @property
    def base(self) -> FrameBase | None:
        return FrameBase(self._register, self._offset) if self._register >= 0 else None

    def run(self, cursor: Cursor, until: int | None) -> None:
        """Run up to a distance from the start of the function; None: all."""
        place = 0
        while cursor.position < cursor.end:
            code = cursor.unsigned(1)
            high, low = code & 0xC0, code & 0x3F
            step = 0
            if high == 0x40:
                step = low
            elif high == 0x80:
                cursor.uleb()
            elif high == 0:
                step = self._plain(cursor, low)
            if step:
                place += step * self._common.code_step
                if until is not None and place > until:
                    return

    def _plain(self, cursor: Cursor, code: int) -> int:
        """Run one instruction; returns by how much it advances."""
        match code:
            case 0x02 | 0x03 | 0x04:
                return cursor.unsigned(1 << code - 2)
            case 0x05 | 0x09 | 0x14:  # rules of other registers
                cursor.uleb()
                cursor.uleb()
            case 0x06 | 0x07 | 0x08 | 0x2E:
                cursor.uleb()
            case 0x11 | 0x15:
                cursor.uleb()
                cursor.sleb()
            case 0x0A:
                self._kept.append((self._register, self._offset))
            case 0x0B if self._kept:
                self._register, self._offset = self._kept.pop()
            case 0x0C:
                self._register, self._offset = cursor.uleb(), cursor.uleb()
            case 0x0D:
                self._register = cursor.uleb()
            case 0x0E:
                self._offset = cursor.uleb()
            case 0x0F:  # by an expression
                cursor.take(cursor.uleb())
                self._register = -1
            case 0x10 | 0x16:
                cursor.uleb()
                cursor.take(cursor.uleb())
            case 0x00 | 0x2D:
                pass
            case _:
                raise DebugInfoError(f"instructions of kind {code:#x} in a frame table are not known here")
        return 0
