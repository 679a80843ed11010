"""Units of ``.debug_info``, and single entries of them read whole.

A unit is what one source file was compiled to. Reading one entry costs some microseconds; walking over all of a unit
is the business of ``walk``.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property

from symbols.dwarf import abbreviations
from symbols.dwarf.abbreviations import Abbreviation, Encoding, Table
from symbols.dwarf.bytes_at import Cursor, raw_string
from symbols.dwarf.constants import At, Form, Tag
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.image import Image

_SPLIT, _TYPES = (4, 5), (2, 6)
"""Kinds of units (DW_UT) with more in their header."""
_INDEXED = {
    Form.STRX1: 1, Form.STRX2: 2, Form.STRX3: 3, Form.STRX4: 4, Form.ADDRX1: 1, Form.ADDRX2: 2, Form.ADDRX3: 3,
    Form.ADDRX4: 4, Form.DATA1: 1, Form.DATA2: 2, Form.DATA4: 4, Form.DATA8: 8, Form.FLAG: 1, Form.REF_SUP4: 4,
    Form.REF_SUP8: 8, Form.REF_SIG8: 8,
}  # fmt: skip
_REFERENCES = {Form.REF1: 1, Form.REF2: 2, Form.REF4: 4, Form.REF8: 8}
_BLOCKS = {Form.BLOCK1: 1, Form.BLOCK2: 2, Form.BLOCK4: 4}
_SUPPLEMENT = frozenset({Form.GNU_REF_ALT, Form.GNU_STRP_ALT, Form.STRP_SUP, Form.REF_SUP4, Form.REF_SUP8})
STRINGS = frozenset({
    Form.STRING, Form.STRP, Form.LINE_STRP, Form.STRX, Form.STRX1, Form.STRX2, Form.STRX3, Form.STRX4,
})  # fmt: skip
ADDRESSES = frozenset({Form.ADDR, Form.ADDRX, Form.ADDRX1, Form.ADDRX2, Form.ADDRX3, Form.ADDRX4})
REFERENCES = frozenset({Form.REF1, Form.REF2, Form.REF4, Form.REF8, Form.REF_UDATA, Form.REF_ADDR})
_MOST_ORIGINS = 8
"""Steps from a concrete entry to what it is an instance of."""

Raw = int | bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a unit.

    Attributes:
        unit: Where it is.
        offset: From the start of ``.debug_info``.
        tag: What it describes.
        attributes: By attribute, (form, value): references count from the start of ``.debug_info``, blocks are bytes,
            strings and indexed addresses are not looked up yet.
        children: Whether entries that belong to it follow.
        end: Where the next entry begins, a child or not.
    """

    unit: Unit
    offset: int
    tag: int
    attributes: dict[int, tuple[int, Raw]]
    children: bool
    end: int

    def number(self, attribute: int) -> int | None:
        """A constant; None where it is absent, or an expression."""
        form, value = self.attributes.get(attribute, (0, b""))
        return value if isinstance(value, int) and form not in STRINGS else None

    def text(self, attribute: int) -> str:
        """A string; "" where it is absent."""
        form, value = self.attributes.get(attribute, (0, b""))
        if form in _SUPPLEMENT:
            raise self.unit.dwarf.in_supplement()
        if form not in STRINGS:
            return ""
        return self.unit.string(form, value).decode("utf-8", "replace")

    def address(self, attribute: int) -> int | None:
        """An address; None where it is absent or no address."""
        form, value = self.attributes.get(attribute, (0, b""))
        return self.unit.address(form, value) if form in ADDRESSES and isinstance(value, int) else None

    def target(self, attribute: int) -> Entry | None:
        """The entry that an attribute refers to; None where it is absent."""
        form, value = self.attributes.get(attribute, (0, b""))
        if form in _SUPPLEMENT:
            raise self.unit.dwarf.in_supplement()
        if form == Form.REF_SIG8:
            raise DebugInfoError("its types are in units of their own (-fdebug-types-section), which are not read here")
        if form not in REFERENCES or not isinstance(value, int):
            return None
        unit = self.unit if self.unit.start <= value < self.unit.end else self.unit.dwarf.unit_at(value)
        return unit.entry(value)

    def chain(self) -> Iterator[Entry]:
        """The entry, and what it is a concrete instance or the definition of."""
        entry: Entry | None = self
        for _ in range(_MOST_ORIGINS):
            if entry is None:
                return
            yield entry
            entry = entry.target(At.ABSTRACT_ORIGIN) or entry.target(At.SPECIFICATION)

    def inherited(self, attribute: int) -> Entry | None:
        """The nearest of ``chain`` that has the attribute."""
        return next((entry for entry in self.chain() if attribute in entry.attributes), None)

    @property
    def name(self) -> str:
        """Its name, or that of what it is an instance of."""
        named = self.inherited(At.NAME)
        return named.text(At.NAME) if named else ""

    def below(self) -> Iterator[Entry]:
        """Its children, in order; grandchildren are leapt over."""
        if not self.children:
            return
        position = self.end
        while True:
            entry = self.unit.entry(position)
            if not entry.tag:
                return
            yield entry
            position = self.unit.after(entry)


class Unit:
    """One unit.

    Attributes:
        dwarf: Where it is.
        start: Of its header, from the start of ``.debug_info``.
        end: Of its last byte.
        encoding: Sizes of some forms.
        root: Where its first entry begins.
    """

    def __init__(self, dwarf: Dwarf, start: int) -> None:
        info = dwarf.info
        cursor = Cursor(info, start)
        length, offset_size = cursor.unsigned(4), 4
        if length == 0xFFFFFFFF:
            length, offset_size = cursor.unsigned(8), 8
        self.dwarf, self.start, self.end = dwarf, start, cursor.position + length
        if self.end > len(info) or length < 7:
            raise DebugInfoError(f"debug information is damaged: a unit at {start:#x} has no end")
        version = cursor.unsigned(2)
        if not 2 <= version <= 5:
            raise DebugInfoError(f"DWARF {version} is not known here")
        kind = 1
        if version >= 5:
            kind, address_size = cursor.unsigned(1), cursor.unsigned(1)
            self._abbreviations_at = cursor.unsigned(offset_size)
            if kind in _SPLIT:
                cursor.unsigned(8)
            elif kind in _TYPES:
                cursor.unsigned(8 + offset_size)
        else:
            self._abbreviations_at, address_size = cursor.unsigned(offset_size), cursor.unsigned(1)
        if address_size not in (4, 8):
            raise DebugInfoError(f"debug information is damaged: addresses of {address_size} bytes")
        self.encoding = Encoding(version, address_size, offset_size)
        self.root = cursor.position

    @cached_property
    def data(self) -> bytes:
        """Its bytes, from ``start``."""
        return bytes(self.dwarf.info[self.start : self.end])

    @cached_property
    def table(self) -> Table:
        """Its abbreviations."""
        return self.dwarf.table(self._abbreviations_at)

    @cached_property
    def top(self) -> Entry:
        """Its first entry: the source file.

        Raises:
            DebugInfoError: It was split off into a file of its own.
        """
        return self.entry(self.root)

    @cached_property
    def bases(self) -> dict[int, int]:
        """Where its parts of the tables of strings, addresses and lists begin."""
        attributes = self.top.attributes
        found = (At.STR_OFFSETS_BASE, At.ADDR_BASE, At.RNGLISTS_BASE, At.LOCLISTS_BASE)
        return {name: int(attributes[name][1]) for name in found if name in attributes}

    @property
    def low(self) -> int:
        """The address that its lists of addresses count from."""
        return self.top.address(At.LOW_PC) or 0

    def refuse_split(self) -> None:
        """Raise where what it describes was split off.

        Raises:
            DebugInfoError: It was.
        """
        for name in (At.DWO_NAME, At.GNU_DWO_NAME):
            if name in self.top.attributes:
                raise DebugInfoError(
                    f"its debug information was split off into {self.top.text(name)}, which is not read here",
                    "build the kernel without CONFIG_DEBUG_INFO_SPLIT",
                )

    def entry(self, offset: int) -> Entry:
        """The entry at an offset of ``.debug_info``; one with tag 0 ends a list of children.

        Raises:
            DebugInfoError: There is none, or it is damaged.
        """
        if not self.root <= offset < self.end:
            raise DebugInfoError("debug information is damaged: an entry lies outside its unit")
        cursor = Cursor(self.data, offset - self.start)
        code = cursor.uleb()
        if not code:
            return Entry(self, offset, 0, {}, False, self.start + cursor.position)
        abbreviation = self.abbreviation(code)
        attributes = {
            attribute: self._value(cursor, form, constant) for attribute, form, constant in abbreviation.attributes
        }
        end = self.start + cursor.position
        return Entry(self, offset, abbreviation.tag, attributes, abbreviation.children, end)

    def abbreviation(self, code: int) -> Abbreviation:
        """How entries of a code are written.

        Raises:
            DebugInfoError: It has no such code.
        """
        try:
            return self.table[code]
        except KeyError:
            raise DebugInfoError(f"debug information is damaged: no abbreviation {code}") from None

    def after(self, entry: Entry) -> int:
        """Where the next entry begins that does not belong to this one."""
        if not entry.children:
            return entry.end
        sibling = entry.number(At.SIBLING)
        if sibling is not None:
            if sibling <= entry.offset:
                raise DebugInfoError("debug information is damaged: siblings go backwards")
            return sibling
        position = entry.end
        depth = 1
        while depth:
            child = self.entry(position)
            if not child.tag:
                depth -= 1
                position = child.end
            elif child.children and At.SIBLING not in child.attributes:
                depth += 1
                position = child.end
            else:
                position = self.after(child)
        return position

    def string(self, form: int, value: Raw) -> bytes:
        """The bytes of a string."""
        if isinstance(value, bytes):
            return value
        if form == Form.STRP:
            return raw_string(self.dwarf.strings, value)
        if form == Form.LINE_STRP:
            return raw_string(self.dwarf.image.section(".debug_line_str"), value)
        size = self.encoding.offset_size
        base = self.bases.get(At.STR_OFFSETS_BASE, 2 * size)
        place = Cursor(self.dwarf.image.section(".debug_str_offsets"), base + value * size)
        return raw_string(self.dwarf.strings, place.unsigned(size))

    def address(self, form: int, value: int) -> int:
        """An address, looked up where it is an index."""
        if form == Form.ADDR:
            return value
        size = self.encoding.address_size
        base = self.bases.get(At.ADDR_BASE, 8)
        return Cursor(self.dwarf.image.section(".debug_addr"), base + value * size).unsigned(size)

    def _value(self, cursor: Cursor, form: int, constant: int) -> tuple[int, Raw]:
        if form in _REFERENCES:
            return form, cursor.unsigned(_REFERENCES[Form(form)]) + self.start
        if form in _INDEXED:
            return form, cursor.unsigned(_INDEXED[Form(form)])
        match form:
            case Form.FLAG_PRESENT:
                return form, 1
            case Form.IMPLICIT_CONST:
                return form, constant
            case Form.UDATA | Form.STRX | Form.ADDRX | Form.LOCLISTX | Form.RNGLISTX:
                return form, cursor.uleb()
            case Form.SDATA:
                return form, cursor.sleb()
            case Form.STRING:
                raw = raw_string(cursor.data, cursor.position)
                cursor.position += len(raw) + 1
                return form, raw
            case Form.EXPRLOC | Form.BLOCK:
                return form, cursor.take(cursor.uleb())
            case Form.BLOCK1 | Form.BLOCK2 | Form.BLOCK4:
                return form, cursor.take(cursor.unsigned(_BLOCKS[Form(form)]))
            case Form.DATA16:
                return form, cursor.take(16)
            case Form.REF_UDATA:
                return form, cursor.uleb() + self.start
            case Form.INDIRECT:
                return self._value(cursor, cursor.uleb(), 0)
            case _:
                size = abbreviations.fixed_size(form, self.encoding)
                assert size is not None
                return form, cursor.unsigned(size)


class Dwarf:
    """The debug information of one file.

    Attributes:
        image: The file.
        info: Its ``.debug_info``.
        strings: Its ``.debug_str``.

    Raises:
        DebugInfoError: It has none.
    """

    def __init__(self, image: Image) -> None:
        if not image.has_dwarf:
            raise DebugInfoError("it holds no debug information", "take the unstripped file")
        self.image = image
        self.info = image.section(".debug_info")
        self._tables: dict[int, Table] = {}
        self._units: dict[int, Unit] = {}
        self._starts: list[int] = []
        self.some_starts: Sequence[int] = ()
        """Where some units begin, sorted, as far as another table tells it for nothing."""

    @cached_property
    def strings(self) -> memoryview:
        """Its names."""
        return self.image.section(".debug_str")

    def unit(self, start: int) -> Unit:
        """The unit whose header is at ``start``."""
        if start not in self._units:
            self._units[start] = Unit(self, start)
        return self._units[start]

    def units(self) -> Iterator[Unit]:
        """All units, in order; nothing of them is kept."""
        position = 0
        while position < len(self.info):
            unit = Unit(self, position)
            yield unit
            position = unit.end

    def forget(self) -> None:
        """Let go of the units that were read; they are read again when they are asked for."""
        self._units.clear()
        self._tables.clear()

    def unit_at(self, offset: int) -> Unit:
        """The unit that holds an offset of ``.debug_info``."""
        place = bisect_right(self.some_starts, offset) - 1
        if place >= 0 and offset < (unit := self.unit(self.some_starts[place])).end:
            return unit
        if not self._starts:
            self._starts = [unit.start for unit in self.units()]
        place = bisect_right(self._starts, offset) - 1
        if place < 0:
            raise DebugInfoError("debug information is damaged: a reference to nowhere")
        return self.unit(self._starts[place])

    def table(self, offset: int) -> Table:
        """The abbreviations at an offset; units of one compilation share them."""
        if offset not in self._tables:
            self._tables[offset] = abbreviations.parse(self.image.section(".debug_abbrev"), offset)
        return self._tables[offset]

    def in_supplement(self) -> DebugInfoError:
        """What is said of something that is in another file."""
        where = self.image.supplement or "another file"
        return DebugInfoError(
            f"this part of the debug information was moved to {where} (by dwz), which is not read here"
        )

    def is_source(self, unit: Unit) -> bool:
        """Whether a unit describes a source file, in contrast to parts that several of them share."""
        return unit.top.tag in (Tag.COMPILE_UNIT, Tag.SKELETON_UNIT)
