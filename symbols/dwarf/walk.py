"""One fast walk over the entries of a unit, for those of a few kinds.

Reading every entry would take minutes: a kernel's ``.debug_info`` has tens of millions of them. So entries are leapt
over by plans made once for each abbreviation, and what holds none of those looked for (types, mostly) is left out
whole where the compiler says how far it reaches.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Iterator

from symbols.dwarf import abbreviations
from symbols.dwarf.abbreviations import SIBLING_STEP, Abbreviation
from symbols.dwarf.bytes_at import Cursor, raw_string
from symbols.dwarf.constants import At, Form
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.units import Unit

_U32 = struct.Struct("<I")
Steps = tuple[tuple[int, int], ...]


class Plans:
    """How to leap over each abbreviation of a unit.

    Args:
        unit: Whose abbreviations.
        wanted: Tells the abbreviations of the entries that are looked for.
        descend: The tags of entries below which they may be; the others are left out with all that belongs to them.

    Attributes:
        leaps: By code: bytes to leap over, or steps.
        wanted: The codes of what is looked for, and their abbreviations.
    """

    def __init__(self, unit: Unit, wanted: Callable[[Abbreviation], bool], descend: frozenset[int]) -> None:
        self.leaps: dict[int, int | Steps] = {0: 0}
        self.wanted: dict[int, Abbreviation] = {}
        for code, abbreviation in unit.table.items():
            if wanted(abbreviation):
                self.wanted[code] = abbreviation
            plain = abbreviation
            if not abbreviation.children or abbreviation.tag in descend:
                kept = tuple((0 if a == At.SIBLING else a, form, value) for a, form, value in abbreviation.attributes)
                plain = dataclasses.replace(abbreviation, attributes=kept)
            self.leaps[code] = abbreviations.leap(plain, unit.encoding)


def walk(unit: Unit, plans: Plans) -> Iterator[tuple[int, int, int]]:
    """The entries looked for, as (offset in the unit, code, where its attributes begin in the unit), in order.

    Raises:
        DebugInfoError: The unit is damaged.
    """
    leaps, wanted, data = plans.leaps, plans.wanted, unit.data
    position, end = unit.root - unit.start, len(data)
    try:
        while position < end:
            at = position
            code = data[position]
            position += 1
            if code >= 0x80:
                cursor = Cursor(data, at)
                code, position = cursor.uleb(), cursor.position
            if code in wanted:
                yield at, code, position
            plan = leaps[code]
            if plan.__class__ is int:
                position += plan
            else:
                position = _step_over(data, position, plan)  # type: ignore[arg-type]  # isinstance() would take longer
                if position <= at:
                    raise DebugInfoError("debug information is damaged: siblings go backwards")
    except (KeyError, IndexError, struct.error):
        raise DebugInfoError(f"debug information is damaged in the unit at {unit.start:#x}") from None


def _step_over(data: bytes, position: int, steps: Steps) -> int:
    for size, form in steps:
        position += size
        if form == Form.EXPRLOC or form == Form.BLOCK1:
            length = data[position]
            position += 1 + length
            if length >= 0x80 and form == Form.EXPRLOC:
                cursor = Cursor(data, position - 1 - length)
                length = cursor.uleb()
                position = cursor.position + length
        elif form == SIBLING_STEP:
            return int(_U32.unpack_from(data, position)[0])
        elif form:
            position = _leap_form(data, position, form)
    return position


def _leap_form(data: bytes, position: int, form: int) -> int:
    """Leap over a value whose size its bytes tell."""
    if form == Form.STRING:
        return position + len(raw_string(data, position)) + 1
    cursor = Cursor(data, position)
    if form == Form.INDIRECT:
        raise DebugInfoError("values of indirect form are not known here")
    if form in (Form.BLOCK2, Form.BLOCK4):
        cursor.take(cursor.unsigned(2 if form == Form.BLOCK2 else 4))
    elif form == Form.BLOCK:
        cursor.take(cursor.uleb())
    else:
        cursor.uleb()
    return cursor.position
