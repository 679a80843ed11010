"""The inlined copies and the functions of a unit: where each is described, and where its code begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from symbols.dwarf.abbreviations import Abbreviation, Layout, layout_of
from symbols.dwarf.constants import At, Form, Tag
from symbols.dwarf.ranges import first_address, ranges
from symbols.dwarf.units import ADDRESSES, Entry, Unit
from symbols.dwarf.walk import Plans, walk

_UNITS = frozenset({Tag.COMPILE_UNIT, Tag.PARTIAL_UNIT, Tag.SKELETON_UNIT})
_CODE = _UNITS | {Tag.SUBPROGRAM, Tag.INLINED_SUBROUTINE, Tag.LEXICAL_BLOCK}


@dataclasses.dataclass(frozen=True, slots=True)
class FunctionEntry:
    """A function that has code of its own.

    Attributes:
        offset: Where it is described, from the start of ``.debug_info``.
        ranges: Its code, the piece with its entry first.
    """

    offset: int
    ranges: tuple[tuple[int, int], ...]


def inlined_in(unit: Unit) -> Iterator[tuple[int, int, int]]:
    """The inlined copies of a unit that have an address, in the order of their entries.

    Yields:
        Where the copy is described, where the function is described that it is a copy of (both from the start of
        ``.debug_info``), and its address as the file counts addresses.

    Raises:
        DebugInfoError: The unit is damaged.
    """
    plans = Plans(unit, lambda abbreviation: abbreviation.tag == Tag.INLINED_SUBROUTINE, _CODE)
    layouts = {code: _layout(abbreviation, unit) for code, abbreviation in plans.wanted.items()}
    data, start = unit.data, unit.start
    for at, code, attributes in walk(unit, plans):
        layout = layouts[code]
        if layout is not None:
            values = layout.structure.unpack_from(data, attributes)
            places = layout.places
            address = values[places[At.ENTRY_PC if At.ENTRY_PC in places else At.LOW_PC]]
            yield start + at, start + values[places[At.ABSTRACT_ORIGIN]], address
        elif (found := _read(unit.entry(start + at))) is not None:
            yield found


def functions_in(unit: Unit) -> Iterator[FunctionEntry]:
    """The functions of a unit that have code of their own.

    Raises:
        DebugInfoError: The unit is damaged.
    """
    for at, _, _ in walk(unit, Plans(unit, _is_concrete, _UNITS)):
        entry = unit.entry(unit.start + at)
        pieces = tuple(ranges(entry))
        if pieces:
            low = entry.address(At.LOW_PC)
            ordered = sorted(pieces, key=lambda piece: piece[0] != low) if low else pieces
            yield FunctionEntry(entry.offset, tuple(ordered))


def entry_address(entry: Entry) -> int | None:
    """Where the code of an inlined copy begins; None where it has none left."""
    low = entry.address(At.LOW_PC)
    if low is None and At.RANGES in entry.attributes:
        low = first_address(entry)
    form, value = entry.attributes.get(At.ENTRY_PC, (0, 0))
    if form in ADDRESSES:
        return entry.address(At.ENTRY_PC)
    if At.ENTRY_PC in entry.attributes and low is not None and isinstance(value, int):
        return low + value  # DWARF 5: a constant counts from the lowest address
    return low


def _layout(abbreviation: Abbreviation, unit: Unit) -> Layout | None:
    """The layout of a copy that can be taken apart at once: its origin and its address are plain numbers."""
    forms = {attribute: form for attribute, form, _ in abbreviation.attributes}
    address = forms.get(At.ENTRY_PC, forms.get(At.LOW_PC))
    if forms.get(At.ABSTRACT_ORIGIN) != Form.REF4 or address != Form.ADDR:
        return None
    return layout_of(abbreviation, unit.encoding)


def _is_concrete(abbreviation: Abbreviation) -> bool:
    told = {attribute for attribute, _, _ in abbreviation.attributes}
    return abbreviation.tag == Tag.SUBPROGRAM and bool(told & {At.LOW_PC, At.RANGES})


def _read(entry: Entry) -> tuple[int, int, int] | None:
    origin = entry.target(At.ABSTRACT_ORIGIN)
    address = entry_address(entry)
    return None if origin is None or address is None else (entry.offset, origin.offset, address)
