"""Abbreviation tables: how the entries of a unit are written, and, made from that, how to leap over them fast."""

from __future__ import annotations

import dataclasses
import struct

from symbols.dwarf.bytes_at import Bytes, Cursor
from symbols.dwarf.constants import At, Form
from symbols.dwarf.errors import DebugInfoError


@dataclasses.dataclass(frozen=True, slots=True)
class Abbreviation:
    """One way of writing an entry.

    Attributes:
        tag: What the entry describes.
        children: Whether entries that belong to it follow.
        attributes: (attribute, form, value that stands here in place of the entry), in order.
    """

    tag: int
    children: bool
    attributes: tuple[tuple[int, int, int], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Encoding:
    """What the sizes of some forms depend on."""

    version: int
    address_size: int
    offset_size: int


Table = dict[int, Abbreviation]

_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
_VARIABLE = frozenset({
    Form.STRING, Form.BLOCK, Form.BLOCK1, Form.BLOCK2, Form.BLOCK4, Form.EXPRLOC, Form.UDATA, Form.SDATA,
    Form.REF_UDATA, Form.STRX, Form.ADDRX, Form.LOCLISTX, Form.RNGLISTX, Form.INDIRECT,
})  # fmt: skip
_FIXED = {
    Form.DATA1: 1, Form.DATA2: 2, Form.DATA4: 4, Form.DATA8: 8, Form.DATA16: 16, Form.FLAG: 1, Form.FLAG_PRESENT: 0,
    Form.REF1: 1, Form.REF2: 2, Form.REF4: 4, Form.REF8: 8, Form.REF_SIG8: 8, Form.REF_SUP4: 4, Form.REF_SUP8: 8,
    Form.IMPLICIT_CONST: 0, Form.STRX1: 1, Form.STRX2: 2, Form.STRX3: 3, Form.STRX4: 4,
    Form.ADDRX1: 1, Form.ADDRX2: 2, Form.ADDRX3: 3, Form.ADDRX4: 4,
}  # fmt: skip
_OFFSETS = frozenset({
    Form.STRP, Form.LINE_STRP, Form.STRP_SUP, Form.SEC_OFFSET, Form.GNU_REF_ALT, Form.GNU_STRP_ALT, Form.REF_ADDR,
})  # fmt: skip


def parse(data: Bytes, offset: int) -> Table:
    """The table that begins at ``offset`` of ``.debug_abbrev``.

    Raises:
        DebugInfoError: It is damaged.
    """
    if not 0 <= offset < len(data):
        raise DebugInfoError("a unit's abbreviations lie outside their section")
    cursor = Cursor(data, offset)
    table: Table = {}
    while code := cursor.uleb():
        tag, children = cursor.uleb(), cursor.unsigned(1) != 0
        attributes = []
        while True:
            attribute, form = cursor.uleb(), cursor.uleb()
            constant = cursor.sleb() if form == Form.IMPLICIT_CONST else 0
            if not attribute and not form:
                break
            attributes.append((attribute, form, constant))
        table[code] = Abbreviation(tag, children, tuple(attributes))
    return table


def fixed_size(form: int, encoding: Encoding) -> int | None:
    """Bytes that a form takes; None where the bytes themselves tell.

    Raises:
        DebugInfoError: The form is not known.
    """
    size = _FIXED.get(form)  # type: ignore[call-overload]  # an int finds its Form
    if size is not None:
        return int(size)
    if form in _OFFSETS:
        return encoding.address_size if form == Form.REF_ADDR and encoding.version <= 2 else encoding.offset_size
    if form == Form.ADDR:
        return encoding.address_size
    if form in _VARIABLE:
        return None
    raise DebugInfoError(f"values of form {form:#x} are not known here")


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """An entry whose size does not depend on its bytes: everything of it is unpacked at once.

    Attributes:
        structure: Of all values, without the code before them.
        places: Where in what is unpacked an attribute stands.
    """

    structure: struct.Struct
    places: dict[int, int]


def layout_of(abbreviation: Abbreviation, encoding: Encoding) -> Layout | None:
    """The layout of an entry; None where its size depends on its bytes."""
    letters, places = "<", {}
    for number, (attribute, form, _) in enumerate(abbreviation.attributes):
        size = fixed_size(form, encoding)
        if size is None:
            return None
        if size in _CODES:
            places[attribute] = number
            letters += _CODES[size]
        else:
            letters += f"{size}s"  # nothing that a scan looks at; 0s keeps the numbers in step
    return Layout(struct.Struct(letters), places)


SIBLING_STEP = -At.SIBLING
"""Marks the step of a leap at which a reference of four bytes says where the next sibling is."""


def leap(abbreviation: Abbreviation, encoding: Encoding) -> int | tuple[tuple[int, int], ...]:
    """How to leap over an entry, without the code before it: a number of bytes, or steps.

    A step is (bytes to leap over, the form of variable size behind them, or 0 at the end). An entry that tells where
    its next sibling is ends in ``(bytes, SIBLING_STEP)``.
    """
    steps: list[tuple[int, int]] = []
    pending = 0
    for attribute, form, _ in abbreviation.attributes:
        if attribute == At.SIBLING and form == Form.REF4:
            steps.append((pending, SIBLING_STEP))
            return tuple(steps)
        size = fixed_size(form, encoding)
        if size is None:
            steps.append((pending, form))
            pending = 0
        else:
            pending += size
    if not steps:
        return pending
    steps.append((pending, 0))
    return tuple(steps)
