"""Kernel code as instructions: where each begins, what it does, where it leads.

The bytes come from a running kernel, which rewrites its own code. Where a probe's breakpoint or jump hides an
instruction and nobody knows what it replaced, the length of that instruction is not known either: what follows is
decoded from every place at which it may have ended, and instructions are listed again from where all of these agree.
In between nothing is guessed.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping
from typing import Any, Final

from symbols.errors import Category, KexploreError

_LONGEST = 15
"""Bytes of the longest x86 instruction."""


class Flow(enum.Enum):
    """Where execution goes on behind an instruction."""

    ON = "on"
    CALL = "call"
    BRANCH = "branch"
    """To the target or on."""
    END = "end"
    """Not on: a return, a jump, a trap that ends the function."""


@dataclasses.dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, or a gap between instructions.

    Attributes:
        address: Of its first byte.
        code: Its bytes as they were before any probe was put there.
        mnemonic: What it does; "" for a gap, of which it is not known where instructions begin in it.
        operands: In AT&T's notation, which kernel tools print.
        flow: Where execution goes on.
        target: Where a direct call or jump leads; None for others.
        reference: The address that an operand names relative to the instruction; None without one.
    """

    address: int
    code: bytes
    mnemonic: str = ""
    operands: str = ""
    flow: Flow = Flow.ON
    target: int | None = None
    reference: int | None = None

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.address + len(self.code)


def disassemble(
    architecture: str, address: int, code: bytes, overwritten: Mapping[int, int] | None = None
) -> list[Instruction]:
    """The instructions of a function.

    Args:
        architecture: As ``uname -m`` prints it.
        address: Of the first byte, where an instruction begins.
        code: The function, whole.
        overwritten: Where in ``code`` probes replaced what is not known: offset and number of bytes.

    Raises:
        KexploreError: This architecture's instructions are not known to kexplore.
    """
    decoder = _decoder(architecture)
    holes = overwritten or {}
    found: list[Instruction] = []
    offset = 0
    while offset < len(code):
        instruction = None if offset in holes else decoder.decode(code, offset, address + offset)
        if instruction is None or any(offset < hole < offset + len(instruction.code) for hole in holes):
            end = _agreement(decoder, code, offset, holes)
            found.append(Instruction(address + offset, code[offset:end]))
        else:
            found.append(instruction)
        offset += len(found[-1].code)
    return found


def filler(instructions: list[Instruction]) -> int:
    """The index of the first instruction of what only fills the room up to the next function; their number without any.

    That is what stands at the end behind the last instruction that does something: breakpoints and ``nop``.
    """
    index = len(instructions)
    while index and instructions[index - 1].mnemonic in _FILLER:
        index -= 1
    return index if index and instructions[index - 1].flow is Flow.END else len(instructions)


_FILLER = frozenset({"int3", "nop", "nopw", "nopl", "brk", "udf"})


def _agreement(decoder: _Decoder, code: bytes, start: int, holes: Mapping[int, int]) -> int:
    """From where on it is certain again where instructions begin.

    Args:
        decoder: Of this architecture.
        code: The function.
        start: Where an instruction of unknown length begins.
        holes: Where others begin.
    """
    if decoder.fixed:
        return min(start + decoder.fixed, len(code))
    least = holes.get(start, 1)
    later = min((hole for hole in holes if hole > start), default=len(code))  # a probe is put where one begins
    candidates = {min(start + length, later) for length in range(least, least + _LONGEST)}
    while len(candidates) > 1:
        first = min(candidates)
        candidates.remove(first)
        length = decoder.length(code, first)
        if length:
            candidates.add(min(first + length, later))
    return candidates.pop()


class _Decoder:
    """Capstone, set up for one architecture.

    Attributes:
        fixed: Bytes of every instruction; 0 where they differ.
    """

    def __init__(self, architecture: str) -> None:
        import capstone  # slow to import, and few sessions look at instructions
        from capstone import x86

        self._groups = {
            "call": capstone.CS_GRP_CALL, "jump": capstone.CS_GRP_JUMP, "return": capstone.CS_GRP_RET,
            "trap": capstone.CS_GRP_INT, "trap return": capstone.CS_GRP_IRET,
        }  # fmt: skip
        self._immediate, self._memory = capstone.CS_OP_IMM, capstone.CS_OP_MEM
        self._program_counter = x86.X86_REG_RIP
        if architecture == "x86_64":
            self._engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
            self._engine.syntax = capstone.CS_OPT_SYNTAX_ATT
            self.fixed = 0
        else:
            self._engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)
            self.fixed = 4
        self._engine.detail = True

    def length(self, code: bytes, offset: int) -> int:
        """Bytes of the instruction at an offset; 0 when there is none."""
        for _, size, mnemonic, _ in self._engine.disasm_lite(code[offset : offset + _LONGEST], 0, 1):
            return 0 if mnemonic in _MISJUDGED else int(size)
        return 0

    def decode(self, code: bytes, offset: int, address: int) -> Instruction | None:
        """The instruction at an offset; None when the bytes are none."""
        for raw in self._engine.disasm(code[offset : offset + _LONGEST], address, 1):
            return None if raw.mnemonic in _MISJUDGED else self._instruction(raw)
        return None

    def _instruction(self, raw: Any) -> Instruction:
        flow, target = self._flow(raw), None
        if flow is not Flow.ON and raw.operands and raw.operands[-1].type == self._immediate:
            target = int(raw.operands[-1].imm) & _ADDRESS
        if raw.mnemonic in _TRAPS:
            target = None
        operands = _NEGATIVE.sub(_signed, raw.op_str)
        reference = self._reference(raw)
        return Instruction(raw.address, bytes(raw.bytes), raw.mnemonic, operands, flow, target, reference)

    def _flow(self, raw: Any) -> Flow:
        if raw.mnemonic in _TRAPS or raw.group(self._groups["return"]) or raw.group(self._groups["trap return"]):
            return Flow.END
        if raw.group(self._groups["call"]):
            return Flow.CALL
        if raw.group(self._groups["jump"]):
            return Flow.END if raw.mnemonic in _JUMPS else Flow.BRANCH
        return Flow.ON

    def _reference(self, raw: Any) -> int | None:
        if self.fixed:
            return None
        for operand in raw.operands:
            if operand.type == self._memory and operand.mem.base == self._program_counter:
                return int(raw.address + raw.size + operand.mem.disp) & _ADDRESS
        return None


def _signed(match: re.Match[str]) -> str:
    return f"$-{(1 << 64) - int(match[1]):#x}"


_NEGATIVE = re.compile(r"\$(1844674\d{13})\b")
"""Capstone prints small negative immediates as what they are without a sign, in decimal."""
_ADDRESS: Final = (1 << 64) - 1
_MISJUDGED = frozenset({"ud0", "ud1"})
"""Capstone 5 takes them for instructions without operands, the processor does not."""
_TRAPS = frozenset({"ud2", "int3", "brk", "udf", "hlt"})
_JUMPS = frozenset({"jmp", "jmpq", "ljmp", "ljmpl", "ljmpq", "b", "br", "braa", "brab", "braaz", "brabz"})
_ARCHITECTURES = frozenset({"x86_64", "aarch64"})
_decoders: dict[str, _Decoder] = {}


def _decoder(architecture: str) -> _Decoder:
    if architecture not in _ARCHITECTURES:
        raise KexploreError(
            f"kexplore does not know the instructions of {architecture}", "", Category.KERNEL_CANNOT
        )  # fmt: skip
    if architecture not in _decoders:
        _decoders[architecture] = _Decoder(architecture)
    return _decoders[architecture]
