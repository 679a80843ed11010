"""From a location expression to a ``Location``: where a value can be read when a probe fires, or why it cannot."""

from __future__ import annotations

from collections.abc import Callable

from symbols import pt_regs
from symbols.dwarf.bytes_at import Cursor
from symbols.dwarf.frames import FrameBase
from symbols.location import Location, Memory, Register, Registers, Unknown

REGISTERS: dict[str, tuple[str, ...]] = {
    "x86_64": (
        "ax", "dx", "cx", "bx", "si", "di", "bp", "sp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    ),
    "aarch64": (*(f"x{number}" for number in range(31)), "sp"),
}  # fmt: skip
"""By DWARF number: System V ABI, AMD64 supplement, figure 3.36; DWARF for the Arm 64-bit Architecture, 4.1."""

NOWHERE = Unknown("the compiler keeps it nowhere at this instruction")

_CALL_FRAME_CFA = b"\x9c"
_WORD = 8


class Places:
    """Tells locations while one instruction runs.

    Args:
        architecture: As ``uname -m`` prints it.
        frame_base: Looks up what the function around says its frame base is (``DW_AT_frame_base``).
        cfa: Looks the CFA up at this instruction.
    """

    def __init__(self, architecture: str, frame_base: Callable[[], bytes], cfa: Callable[[], FrameBase | None]) -> None:
        self._architecture = architecture
        self._names = REGISTERS.get(architecture, ())
        self._frame_base = frame_base
        self._cfa = cfa

    def of(self, expression: bytes, size: int | None) -> Location:
        """Where a value is.

        Args:
            expression: Of DWARF.
            size: Of the value in bytes; None where it is not known.

        Raises:
            DebugInfoError: The expression is damaged.
        """
        if not self._names:
            return Unknown(f"the registers of {self._architecture} are not known here")
        if size is None:
            return Unknown("the size of its type is not known")
        if not expression:
            return NOWHERE
        cursor = Cursor(expression)
        code = cursor.unsigned(1)
        simple = self._simple(cursor, code, size)
        if simple is None:
            return _refused(cursor, code)
        if cursor.position == cursor.end:
            return simple
        behind = cursor.unsigned(1)
        if behind == 0x93 and isinstance(simple, Register):  # DW_OP_piece
            return self._pieces(simple.register, cursor, size)
        if behind == 0x9F and isinstance(simple, Memory):  # DW_OP_stack_value
            return Unknown(f"it is {simple.address}, a value computed where it is needed and not kept")
        return Unknown("it is computed where it is needed, and not kept")

    def _simple(self, cursor: Cursor, code: int, size: int) -> Location | None:
        """A register or a place in memory; None for anything else."""
        if 0x50 <= code <= 0x6F:
            return self._register(code - 0x50, size)
        if code == 0x90:
            return self._register(cursor.uleb(), size)
        if 0x70 <= code <= 0x8F:
            return self._memory(code - 0x70, cursor.sleb(), size)
        if code == 0x92:
            return self._memory(cursor.uleb(), cursor.sleb(), size)
        if code == 0x91:
            return self._in_frame(cursor.sleb(), size)
        return None

    def _register(self, number: int, size: int) -> Location:
        if number >= len(self._names):
            return Unknown("it is in a register that a probe cannot read")
        if size > _WORD:
            return Unknown(f"its {size} bytes are more than the register that it is said to be in")
        name = self._names[number]
        return Register(name, pt_regs.offset_of(self._architecture, name), size)

    def _memory(self, number: int, offset: int, size: int) -> Location:
        if number >= len(self._names):
            return Unknown("it lies behind a register that a probe cannot read")
        name = self._names[number]
        return Memory(name, pt_regs.offset_of(self._architecture, name), offset, size)

    def _in_frame(self, offset: int, size: int) -> Location:
        base = self._frame_base()
        if base != _CALL_FRAME_CFA:
            if len(base) == 1 and 0x50 <= base[0] <= 0x6F:
                return self._memory(base[0] - 0x50, offset, size)
            return Unknown("it is on the stack, and where the frame begins is not told")
        cfa = self._cfa()
        if cfa is None:
            return Unknown("it is on the stack, and where the frame begins is not told")
        return self._memory(cfa.register, cfa.offset + offset, size)

    def _pieces(self, first: str, cursor: Cursor, size: int) -> Location:
        """A value spread over registers, as far as each holds a whole word of it."""
        names, sizes = [first], [cursor.uleb()]
        while cursor.position < cursor.end:
            code = cursor.unsigned(1)
            if code == 0x93:
                return Unknown("parts of it are kept nowhere at this instruction")
            piece = self._simple(cursor, code, _WORD)
            if not isinstance(piece, Register) or cursor.position >= cursor.end or cursor.unsigned(1) != 0x93:
                return Unknown("parts of it are in different kinds of places")
            names.append(piece.register)
            sizes.append(cursor.uleb())
        if sum(sizes) != size or any(part != _WORD for part in sizes[:-1]):
            return Unknown("it is spread over parts of registers")
        if len(names) == 1:
            return Register(first, pt_regs.offset_of(self._architecture, first), size)
        offsets = tuple(pt_regs.offset_of(self._architecture, name) for name in names)
        return Registers(tuple(names), offsets, size)


def constant(value: int) -> Unknown:
    """What is said of a parameter whose value the compiler knew."""
    return Unknown(f"it is always {value} here: the compiler put the constant in its place")


def _refused(cursor: Cursor, code: int) -> Unknown:
    """Why an expression that begins so is no place that a probe can read."""
    if (value := _constant(cursor, code)) is not None and cursor.position + 1 == cursor.end:  # DW_OP_stack_value
        return constant(value)
    match code:
        case 0x03:
            return Unknown("it lies at a fixed address of the kernel's data")
        case 0xA3 | 0xF3:  # DW_OP_entry_value
            return Unknown("it had its value when the function around was called, and is not kept any more")
        case 0xA0 | 0xF2:  # DW_OP_implicit_pointer
            return Unknown("it points to something that the compiler keeps nowhere")
        case 0x9E:  # DW_OP_implicit_value
            return Unknown("it is a constant here, which the compiler put in its place")
        case 0x93:
            return Unknown("parts of it are kept nowhere at this instruction")
        case _:
            return Unknown("it is computed where it is needed, and not kept")


def _constant(cursor: Cursor, code: int) -> int | None:
    """The operand of an operation that pushes a constant."""
    if 0x30 <= code <= 0x4F:  # DW_OP_lit0 and up
        return code - 0x30
    if 0x08 <= code <= 0x0F:  # DW_OP_const1u, const1s, const2u ...
        size = 1 << (code - 0x08) // 2
        return cursor.signed(size) if code % 2 else cursor.unsigned(size)
    if code in (0x10, 0x11):
        return cursor.uleb() if code == 0x10 else cursor.sleb()
    return None
