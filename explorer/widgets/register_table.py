"""The saved registers of one event: offset, value, what the value is, and the argument that it carries."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType

from explorer.agent import protocol
from explorer.session.error_names import error_name
from explorer.session.events import Event
from explorer.session.probe_spec import ProbeKind
from explorer.session.session import Session
from explorer.session.values import Value, ValueClass
from explorer.widgets.cells import fit
from explorer.widgets.line_view import LineView
from explorer.widgets.palette import BRIGHT, FAINT, LOCATION, MUTED, NAME, TEXT, VALUES, WARNING
from symbols.location import Location, Reference, Register, Registers, Split, Stack
from symbols.pt_regs import layout
from symbols.verdict import Mechanism

_MADE_UP = frozenset({"cs", "ss", "flags", "orig_ax"})
"""x86-64: ftrace (at an entry) and the return trampoline fill these in themselves; no trap saved them."""
_HEADS = ("register", "offset", "value", "is", "carries")


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A register, or a value that came from elsewhere."""

    name: str
    offset: str
    value: str
    meaning: str
    meaning_style: Style
    carries: str
    carried: Value | None


class RegisterTable(LineView):
    """All registers that came with an event."""

    HELP: ClassVar[str] = "registers"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "screen.copy", "Copy", id="registers.copy", tooltip="Copy the registers as text"),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._rows: list[Row] = []

    def show(self, session: Session, event: Event) -> None:
        """Show an event's registers."""
        self._rows = rows_of(session, event)
        self.rows_changed()

    @property
    def row_count(self) -> int:
        """The column heads and the registers."""
        return len(self._rows) + 1 if self._rows else 0

    def marks_cursor(self) -> bool:
        """The column heads are no register."""
        return self.cursor > 0

    def move_cursor(self, row: int) -> None:
        """Never onto the column heads."""
        super().move_cursor(max(1, row))
        if self.cursor == 1:
            self.reveal(0)

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """The column heads, or a register."""
        meaning = 22 if width >= 100 else 14
        if row == 0:
            for head, cells in zip(_HEADS, (9, 7, 19, meaning + 1, 8), strict=True):
                yield Segment(fit(head, cells), FAINT)
            return
        line = self._rows[row - 1]
        carries = line.carried is not None
        yield Segment(fit(line.name, 9), BRIGHT if carries else TEXT)
        yield Segment(fit(line.offset, 7), LOCATION)
        yield Segment(fit(line.value, 18) + " ", NAME if carries else MUTED)
        yield Segment(fit(line.meaning, meaning) + " ", line.meaning_style)
        if line.carried is not None:
            yield Segment(line.carried.name, NAME)
            yield Segment(" = ", FAINT)
            yield Segment(line.carried.text, VALUES[line.carried.value_class])
        elif line.carries:
            yield Segment(line.carries, FAINT)

    def draw_empty(self, line: int, width: int) -> Iterable[Segment]:
        """The event came without registers."""
        if line == 0:
            yield Segment("this event was recorded without registers", WARNING)

    def plain(self) -> str:
        """The table as text."""
        return "\n".join(
            f"{row.name:8} {row.offset:6} {row.value:18} {row.meaning}"
            + (f"  {row.carried.name}={row.carried.text}" if row.carried else "")
            for row in self._rows
        )


def rows_of(session: Session, event: Event) -> list[Row]:
    """The registers in the order of ``struct pt_regs``, then the values that are in none of them."""
    hello = session.hello
    if event.registers is None or hello is None:
        return []
    values = {value.name: value for value in session.describe(event)}
    carriers = _carriers(event, values)
    doubt = _doubt(session, event)
    saved = dict(zip(hello.registers, protocol.unpack_registers(event.registers), strict=True))
    rows = []
    for name, offset in _layout(hello.machine, hello.registers):
        meaning, style = _meaning(session, saved[name])
        note = doubt if doubt and name in _MADE_UP else _ROLES.get(name, "")
        carried = carriers.pop(name, None)
        rows.append(Row(name, offset, f"{saved[name]:#018x}", meaning, style, note, carried))
    for place, value in carriers.items():
        number = f"{value.raw & ((1 << 64) - 1):#018x}" if value.raw is not None else ""
        rows.append(Row(place, "stack", number, "", TEXT, "", value))
    return rows


_ROLES = {"ip": "next instruction", "sp": "stack pointer", "pc": "next instruction"}


def _layout(machine: str, registers: Sequence[str]) -> list[tuple[str, str]]:
    """Register and offset, in the order of memory; registers of an unknown layout in the agent's order."""
    known = {saved.name: saved.offset for saved in layout(machine)}
    order = sorted(registers, key=lambda name: known.get(name, 1 << 16))
    return [(name, f"+{known[name]:#04x}" if name in known else "?") for name in order]


def _carriers(event: Event, values: dict[str, Value]) -> dict[str, Value]:
    """Which value each register or stack slot carries at the moment of this event; marked ``?`` unless certain."""
    prototype = event.probe.prototype
    if prototype is None or event.probe.offset:
        return {}
    places: list[tuple[str, Location | None]]
    if event.probe.spec.kind is ProbeKind.RETURN:
        places = [("return", prototype.return_location)]
    else:
        places = [
            (parameter.name or f"arg{position}", parameter.location)
            for position, parameter in enumerate(prototype.parameters, start=1)
        ]
    carriers = {}
    for name, location in places:
        if location is not None and (value := values.get(name)) is not None:
            certain = prototype.trust_in(location)[0].is_certain
            marked = value if certain else dataclasses.replace(value, name=f"{name}?")
            carriers.update(dict.fromkeys(_places(location), marked))
    return carriers


def _places(location: Location) -> tuple[str, ...]:
    match location:
        case Register(register=register):
            return (register,)
        case Registers(registers=registers):
            return registers
        case Reference(pointer=Register(register=register)):
            return (register,)
        case Split(registers=registers, stack=stack):
            return (*registers.registers, stack.text())
        case Stack():
            return (location.text(),)
        case _:
            return ()


def _doubt(session: Session, event: Event) -> str:
    """Why some registers need not be what they were; "" when a trap saved them all."""
    if event.probe.spec.kind is ProbeKind.RETURN:
        return "unsure: set on return"
    if event.probe.offset or session.catalog is None:
        return ""
    symbol = session.resolve(event.probe.spec)
    by_ftrace = symbol is not None and session.catalog.verdict(symbol).mechanism is Mechanism.FTRACE
    return "unsure: set by ftrace" if by_ftrace else ""


def _meaning(session: Session, number: int) -> tuple[str, Style]:
    """What a raw register might be: a small number, an error, a pointer, the function that an address is in."""
    signed = number - (1 << 64) if number >> 63 else number
    if -4096 < signed < 0:
        return f"{signed} {error_name(signed) or ''}".rstrip(), VALUES[ValueClass.NUMBER]
    if number < 1 << 32:
        return str(number), VALUES[ValueClass.NUMBER if number else ValueClass.NULL]
    pointer = session.space.classify(number)
    if pointer is ValueClass.KERNEL and session.catalog is not None:
        found = session.catalog.at(number)
        if found is not None and found[0].is_function:
            return f"{found[0].name}+{found[1]:#x}", VALUES[pointer]
    if pointer is ValueClass.NON_CANONICAL:
        return "not an address", VALUES[ValueClass.NULL]
    return pointer.value, VALUES[pointer]
