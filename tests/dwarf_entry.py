"""Where DWARF says that the parameters of each function are when it is entered: the oracle for our locations.

A compiler that optimises describes a parameter by a list of ranges; the one that begins at the function's first
instruction is what a probe at the entry sees. Where a parameter is given a home in the function's own frame, DWARF may
name only that, though nothing is in it yet at entry: then it gives no answer here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from elftools.dwarf.die import DIE
from elftools.dwarf.dwarf_expr import DWARFExprOp, DWARFExprParser
from elftools.dwarf.dwarfinfo import DWARFInfo
from elftools.dwarf.locationlists import BaseAddressEntry, LocationEntry, LocationExpr, LocationParser
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from symbols.location import Location, Reference, Register, Registers, Split, Stack, Unknown


@dataclasses.dataclass(frozen=True)
class Numbering:
    """What DWARF's numbers of an architecture mean.

    Attributes:
        registers: The names of registers 0 and up, as tracefs has them.
        frame: Distance from the stack pointer at entry to the address that the frame is described from (the CFA).
        arguments: Distance from there to the first argument on the stack; below lie homes for what came in registers.
    """

    registers: tuple[str, ...]
    frame: int
    arguments: int = 0

    def name(self, number: int) -> str:
        """Of a register; those past the general ones are of no interest, but they are not these."""
        return self.registers[number] if number < len(self.registers) else f"register {number}"


NUMBERINGS = {
    "x86_64": Numbering(("ax", "dx", "cx", "bx", "si", "di", "bp", "sp", *(f"r{n}" for n in range(8, 16))), 8),
    "aarch64": Numbering((*(f"x{n}" for n in range(31)), "sp"), 0),
    "riscv64": Numbering(
        ("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", *(f"a{n}" for n in range(8)),
         *(f"s{n}" for n in range(2, 12)), "t3", "t4", "t5", "t6"), 0,
    ),
    "s390x": Numbering(tuple(f"r{n}" for n in range(16)), 160),
    "ppc64le": Numbering(tuple(f"gpr{n}" for n in range(32)), 0, 96),
}  # fmt: skip
"""Each architecture's DWARF supplement. gcc says DW_OP_fbreg from the CFA; on s390x that is where arguments begin."""


@dataclasses.dataclass(frozen=True)
class Place:
    """A place in a form in which two can be compared.

    Attributes:
        parts: Names of registers, and offsets from the stack pointer at entry, lowest bytes first.
        pointer: Whether what lies there is the address of the value.
    """

    parts: tuple[str | int, ...]
    pointer: bool = False


@dataclasses.dataclass(frozen=True)
class Entry:
    """A function as DWARF has it.

    Attributes:
        name: As the source has it.
        places: By parameter; None where DWARF gives no answer for the entry. A parameter that the compiler removed
            is missing or has no answer.
    """

    name: str
    places: dict[str, Place | None]


def place_of(location: Location) -> Place | None:
    """Our location, to be compared; None where it is unknown."""
    match location:
        case Register(register=name):
            return Place((name,))
        case Registers(registers=names):
            return Place(names)
        case Stack(sp_offset=offset):
            return Place((offset,))
        case Split(registers=registers, stack=stack):
            return Place((*registers.registers, stack.sp_offset))
        case Reference(pointer=Register(register=name)):
            return Place((name,), pointer=True)
        case Reference(pointer=Stack(sp_offset=offset)):
            return Place((offset,), pointer=True)
        case Unknown():
            return None
    raise AssertionError(location)


def read(program: Path, architecture: str) -> dict[str, list[Entry]]:
    """The functions of a linked program by their names in its symbol table, clones by their own."""
    with program.open("rb") as stream:
        elf = ELFFile(stream)
        dwarf = elf.get_dwarf_info()
        entries = {address: entry for address, entry in _functions(dwarf, NUMBERINGS[architecture])}
        found: dict[str, list[Entry]] = {}
        symbols = elf.get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        for symbol in symbols.iter_symbols():
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_value"] in entries:
                found.setdefault(symbol.name, []).append(entries[symbol["st_value"]])
        return found


def _functions(dwarf: DWARFInfo, numbering: Numbering) -> Iterator[tuple[int, Entry]]:
    lists = LocationParser(dwarf.location_lists())
    for unit in dwarf.iter_CUs():
        expressions = DWARFExprParser(unit.structs)
        base = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
        for function in unit.iter_DIEs():
            if function.tag != "DW_TAG_subprogram" or "DW_AT_low_pc" not in function.attributes:
                continue
            start = function.attributes["DW_AT_low_pc"].value
            places: dict[str, Place | None] = {}
            for child in function.iter_children():
                if child.tag != "DW_TAG_formal_parameter":
                    continue
                expression = _at_entry(child, lists, unit["version"], start, base.value if base else 0)
                places[_name(child)] = _place(expressions.parse_expr(expression), numbering) if expression else None
            yield start, Entry(_name(function), places)


def _name(die: DIE) -> str:
    while "DW_AT_name" not in die.attributes:
        die = die.get_DIE_from_attribute("DW_AT_abstract_origin")
    return str(die.attributes["DW_AT_name"].value.decode())


def _at_entry(die: DIE, lists: LocationParser, version: int, start: int, base: int) -> list[int] | None:
    """The expression that holds at the first instruction of a function."""
    attribute = die.attributes.get("DW_AT_location")
    if attribute is None:
        return None
    location = lists.parse_from_attribute(attribute, version, die)
    if isinstance(location, LocationExpr):
        return list(location.loc_expr)
    for entry in location:
        if isinstance(entry, LocationEntry):
            begin = entry.begin_offset + (0 if entry.is_absolute else base)
            if begin == start and entry.end_offset > entry.begin_offset:
                return list(entry.loc_expr)
        elif isinstance(entry, BaseAddressEntry):
            base = entry.base_address
    return None


def _place(operations: list[DWARFExprOp], numbering: Numbering) -> Place | None:
    """None for what cannot be true at entry (a home in the function's own frame) or says less than a place."""
    parts: list[str | int] = []
    pointer = False
    for operation in operations:
        name = operation.op_name
        if name == "DW_OP_piece":
            continue
        if name == "DW_OP_deref" and parts and not pointer:
            pointer = True
        elif name == "DW_OP_fbreg":
            if operation.args[0] < numbering.arguments:
                return None
            parts.append(operation.args[0] + numbering.frame)
        elif name == "DW_OP_regx":
            parts.append(numbering.name(operation.args[0]))
        elif name.startswith("DW_OP_reg"):
            parts.append(numbering.name(int(name.removeprefix("DW_OP_reg"))))
        elif name.startswith("DW_OP_breg") and operation.args == [0]:
            parts.append(numbering.name(int(name.removeprefix("DW_OP_breg"))))
            pointer = True
        else:
            return None
    return Place(_joined(parts), pointer) if parts else None


def _joined(parts: list[str | int]) -> tuple[str | int, ...]:
    """Pieces that follow each other on the stack are one place."""
    joined: list[str | int] = []
    for part in parts:
        if isinstance(part, str) or not joined or isinstance(joined[-1], str):
            joined.append(part)
    return tuple(joined)
