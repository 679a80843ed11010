"""What debug information tells of one function: its prototype, its place in the sources, its inlined copies.

Everything is looked up when it is asked for: a function whose address is known costs its own unit, a few hundred
kilobytes of a file of hundreds of megabytes. Addresses are those of the file, before the kernel was moved
(KASLR) or the module loaded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from symbols.abi.placement import place
from symbols.dwarf import c_text
from symbols.dwarf.address_ranges import AddressRanges
from symbols.dwarf.constants import At, Tag
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.frames import frame_base_at
from symbols.dwarf.image import Image
from symbols.dwarf.inlined_entries import FunctionEntry, entry_address, functions_in, inlined_in
from symbols.dwarf.location_lists import expression_at
from symbols.dwarf.source_lines import SourceLines, below
from symbols.dwarf.type_values import c_type, shape_of, size_of
from symbols.dwarf.units import Dwarf, Entry, Unit
from symbols.dwarf.value_places import NOWHERE, Places, constant
from symbols.location import Location, Memory, Stack, Unknown
from symbols.naming import Part, part_of
from symbols.prototype import Parameter, Prototype, Source, Trust

_C = frozenset({0x01, 0x02, 0x0C, 0x1D, 0x2C, 0x3E})
"""DW_LANG of C in its versions; the calling conventions of others are not those of ``symbols.abi``."""
_KEPT_UNITS = 8
"""How many units are kept at hand; the largest of a kernel have some megabytes."""


@dataclasses.dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of the sources; ``file`` as seen from the top of the kernel's tree."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclasses.dataclass(frozen=True, slots=True)
class FunctionDescription:
    """A function that has code of its own.

    Attributes:
        name: In the sources; a symbol may have suffixes more.
        address: Where it begins.
        declared: Where it is defined in the sources.
        entry: The line that its first instruction was compiled from.
        inline: Whether it is an out-of-line copy of a function that other places have inlined too.
        private: Whether it is defined in the source file of its unit, so that no other unit can have copies of it.
    """

    name: str
    address: int
    declared: SourceLine | None
    entry: SourceLine | None
    inline: bool
    private: bool


@dataclasses.dataclass(frozen=True, slots=True)
class InlinedCopy:
    """One place where a function was inlined.

    Attributes:
        name: Of the function that was inlined.
        declaration: Of that function, in C.
        declared: Where it is defined in the sources.
        address: Where the copy begins.
        called: The line that calls it.
        parameters: Its arguments, and where each lives when the instruction at ``address`` is about to run.
    """

    name: str
    declaration: str
    declared: SourceLine | None
    address: int
    called: SourceLine | None
    parameters: tuple[Parameter, ...]


class DebugInfo:
    """The debug information of one kernel or module. Not to be used by two threads at once.

    Args:
        image: Its file.
        architecture: As ``uname -m`` prints it.

    Raises:
        DebugInfoError: It holds none, or is damaged.
    """

    def __init__(self, image: Image, architecture: str) -> None:
        self.image = image
        self._architecture = architecture
        self._dwarf = Dwarf(image)
        self._addresses = AddressRanges(self._dwarf)
        self._functions: dict[int, list[FunctionEntry]] = {}
        self._lines: dict[int, SourceLines] = {}

    def function(self, address: int) -> FunctionDescription | None:
        """The function that begins at an address; None where debug information has none.

        Raises:
            DebugInfoError: It is damaged, or in another file.
        """
        entry = self._entry_of(address)
        if entry is None:
            return None
        lines = self._source_lines(entry.unit)
        row = lines.line_at(address)
        origin = entry.inherited(At.INLINE)
        inline = origin is not None and origin.number(At.INLINE) in (1, 3)
        declared = self._declared(entry)
        top = entry.unit.top
        private = declared is not None and declared.file == below(top.text(At.NAME), top.text(At.COMP_DIR))
        return FunctionDescription(entry.name, address, declared, SourceLine(*row) if row else None, inline, private)

    def prototype(self, address: int, name: str) -> Prototype | None:
        """The prototype of the function that begins at an address; None where there is none to be had.

        The arguments of a variant (``.isra``, ``.constprop``) are where its own description says, those of others
        where the calling convention puts them.

        Args:
            address: Of its entry.
            name: The symbol, with its suffixes.

        Raises:
            DebugInfoError: It is damaged, or in another file.
        """
        entry = self._entry_of(address)
        if entry is None or not _is_c(entry.unit) or part_of(name) is Part.COLD:
            return None
        described = _with_parameters(entry)
        parameters = [child for child in described.below() if child.tag == Tag.FORMAL_PARAMETER]
        varargs = any(child.tag == Tag.UNSPECIFIED_PARAMETERS for child in described.below())
        result = described.target(At.TYPE)
        shapes = [shape_of(parameter.target(At.TYPE)) for parameter in parameters]
        returned, located = place(self._architecture, None if result is None else shape_of(result), shapes)
        own = {id_of(child): child for child in entry.below() if child.tag == Tag.FORMAL_PARAMETER}
        places = self._places(lambda: entry, address)
        said = [_at_entry(_located(own.get(p.offset), p, address, places)) for p in parameters]
        variant = part_of(name) is not Part.WHOLE
        located = tuple(
            own_place if variant or (by_rule.doubt and not isinstance(own_place, Unknown)) else by_rule
            for by_rule, own_place in zip(located, said, strict=True)
        )
        listed = tuple(
            Parameter(p.text(At.NAME), c_type(p.target(At.TYPE)), location)
            for p, location in zip(parameters, located, strict=True)
        )
        text = c_text.function_declaration(described, name)
        return Prototype(name, text, Source.DWARF, Trust.EXACT, "", c_type(result), returned, listed, varargs)

    def copy(self, entry: int) -> InlinedCopy:
        """An inlined copy by its entry, as ``copies_near`` or an index of all copies tells it.

        Raises:
            DebugInfoError: There is no copy there, or it is damaged.
        """
        return self._copy(self._dwarf.unit_at(entry), entry)

    def copies_near(self, address: int, name: str) -> list[tuple[int, int]]:
        """The inlined copies of one function in the unit of an address, as (address, entry), ascending."""
        unit = self._addresses.unit_of(address)
        if unit is None:
            return []
        return sorted((where, entry) for copied, where, entry in self._inlined(unit) if copied == name)

    def copies_at(self, address: int) -> list[InlinedCopy]:
        """The inlined copies that begin at an address, the outermost first."""
        unit = self._addresses.unit_of(address)
        if unit is None:
            return []
        return [self._copy(unit, entry) for _, where, entry in self._inlined(unit) if where == address]

    def _inlined(self, unit: Unit) -> Iterator[tuple[str, int, int]]:
        names: dict[int, str] = {}
        for entry, origin, address in inlined_in(unit):
            if origin not in names:
                holder = unit if unit.start <= origin < unit.end else self._dwarf.unit_at(origin)
                names[origin] = holder.entry(origin).name
            yield names[origin], address, entry

    def _copy(self, unit: Unit, offset: int) -> InlinedCopy:
        entry = unit.entry(offset)
        origin = entry.target(At.ABSTRACT_ORIGIN)
        address = entry_address(entry)
        if entry.tag != Tag.INLINED_SUBROUTINE or origin is None or address is None:
            raise DebugInfoError(f"debug information has no inlined copy at {offset:#x}")
        places = self._places(lambda: self._around(unit, address), address)
        own = {id_of(child): child for child in entry.below() if child.tag == Tag.FORMAL_PARAMETER}
        parameters = tuple(
            Parameter(
                described.text(At.NAME), c_type(described.target(At.TYPE)),
                _located(own.get(described.offset), described, address, places),
            )
            for described in _with_parameters(origin).below()
            if described.tag == Tag.FORMAL_PARAMETER
        )  # fmt: skip
        file = self._source_lines(unit).file(entry.number(At.CALL_FILE))
        line = entry.number(At.CALL_LINE)
        called = SourceLine(file, line) if file and line else None
        declaration = c_text.function_declaration(_with_parameters(origin), origin.name)
        return InlinedCopy(origin.name, declaration, self._declared(origin), address, called, parameters)

    def _declared(self, entry: Entry) -> SourceLine | None:
        for holder in entry.chain():
            line = holder.number(At.DECL_LINE)
            file = self._source_lines(holder.unit).file(holder.number(At.DECL_FILE))
            if line and file:
                return SourceLine(file, line)
        return None

    def _places(self, around: Callable[[], Entry | None], address: int) -> Places:
        def frame() -> bytes:
            function = around()
            holder = None if function is None else function.inherited(At.FRAME_BASE)
            value = b"" if holder is None else holder.attributes[At.FRAME_BASE][1]
            return value if isinstance(value, bytes) else b""

        return Places(self._architecture, frame, lambda: frame_base_at(self.image, address))

    def _entry_of(self, address: int) -> Entry | None:
        unit = self._addresses.unit_of(address)
        if unit is None:
            return None
        unit.refuse_split()
        return next((unit.entry(f.offset) for f in self._functions_of(unit) if f.ranges[0][0] == address), None)

    def _around(self, unit: Unit, address: int) -> Entry | None:
        for function in self._functions_of(unit):
            if any(low <= address < high for low, high in function.ranges):
                return unit.entry(function.offset)
        return None

    def _functions_of(self, unit: Unit) -> list[FunctionEntry]:
        if unit.start not in self._functions:
            if len(self._functions) >= _KEPT_UNITS:
                self._functions.clear()
                self._lines.clear()
                self._dwarf.forget()
            self._functions[unit.start] = list(functions_in(unit))
        return self._functions[unit.start]

    def _source_lines(self, unit: Unit) -> SourceLines:
        if unit.start not in self._lines:
            self._lines[unit.start] = SourceLines(unit)
        return self._lines[unit.start]


def id_of(parameter: Entry) -> int:
    """The entry that describes a parameter: itself, or what it is an instance of."""
    form_value = parameter.attributes.get(At.ABSTRACT_ORIGIN)
    return int(form_value[1]) if form_value else parameter.offset


def _with_parameters(entry: Entry) -> Entry:
    """The description of a function that lists its parameters in full: what it is an instance of, if anything."""
    *_, last = entry.chain()
    return last


def _located(own: Entry | None, described: Entry, address: int, places: Places) -> Location:
    """Where a parameter of a copy lives; ``own`` is what the copy says of it."""
    if own is None:
        return NOWHERE
    said = own.number(At.CONST_VALUE)
    if said is not None:
        return constant(said)
    expression = expression_at(own, address)
    return NOWHERE if expression is None else places.of(expression, size_of(described.target(At.TYPE)))


def _at_entry(location: Location) -> Location:
    """At the first instruction of a function the stack is counted in slots, as in any prototype."""
    if isinstance(location, Memory) and location.register == "sp" and location.offset % 8 == 0 <= location.offset:
        return Stack(location.offset // 8, location.offset, location.size)
    if location == NOWHERE:
        return Unknown("the compiler removed it from this variant")
    return location


def _is_c(unit: Unit) -> bool:
    return unit.top.number(At.LANGUAGE) in _C
