"""Which instructions of a function take a probe, and why the others do not.

The kernel checks the place of a kprobe before it looks at the instruction (kernel/kprobes.c,
check_kprobe_address_safe): what it rewrites itself while it runs, its jump labels and static calls, takes none, nor
does a BUG or WARN. Then the architecture refuses what it can neither move nor emulate (arch/x86/kernel/kprobes/core.c,
prepare_emulation; arch/arm64/kernel/probes/decode-insn.c).
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
import struct
from collections.abc import Sequence

from symbols.disassembly import Flow, Instruction, filler
from symbols.errors import FactError


class Role(enum.Enum):
    """What an instruction is besides code."""

    CODE = "code"
    ENTRY = "entry"
    """The function's first instruction: the place of the entry probe."""
    FTRACE = "ftrace"
    """What ftrace patches: there the kernel puts the entry probe."""
    JUMP_LABEL = "jump label"
    STATIC_CALL = "static call"
    MAYBE_PATCHED = "may be patched"
    """A nop of the sort that the kernel patches, where its tables could not be read."""
    PADDING = "padding"
    """All that fills the room behind a function, as one site."""
    HIDDEN = "hidden"
    """A gap: a probe hides what is there, or the disassembler does not know it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """One instruction as a place for a probe.

    Attributes:
        instruction: The instruction.
        role: What it is besides.
        cause: Why it takes no probe; "" when the kernel is expected to take one.
    """

    instruction: Instruction
    role: Role
    cause: str


@dataclasses.dataclass(frozen=True, slots=True)
class Patched:
    """What the kernel rewrites while it runs, as addresses; None where that is not known."""

    jump_labels: frozenset[int] | None = None
    static_calls: frozenset[int] | None = None


def judge(instructions: list[Instruction], ftrace_site: int | None, patched: Patched) -> list[Site]:
    """The sites of a function.

    Args:
        instructions: All of them.
        ftrace_site: The address of ftrace's call site in it; None without one.
        patched: What the kernel patches in its code.
    """
    end = filler(instructions)
    sites = []
    for index, instruction in enumerate(instructions[:end]):
        role = _role(instruction, ftrace_site, patched)
        if index == 0 and role is Role.CODE:
            role = Role.ENTRY
        sites.append(Site(instruction, role, _cause(instruction, role)))
    if padding := instructions[end:]:
        whole = Instruction(padding[0].address, b"".join(instruction.code for instruction in padding))
        sites.append(Site(whole, Role.PADDING, "padding between functions, never executed"))
    return sites


def call_site(instructions: list[Instruction]) -> int | None:
    """Ftrace's call site by its look, for kernels that do not tell it (before 6.5); None where nothing looks so."""
    for instruction in instructions[:_BEFORE_CALL_SITE]:
        if instruction.code == _NOP or (len(instruction.code) == len(_NOP) and instruction.flow is Flow.CALL):
            return instruction.address
        if instruction.code not in _LANDING_PADS:
            return None
    return None


def unexplained_breakpoints(instructions: list[Instruction]) -> list[int]:
    """The addresses of breakpoints that the compiler did not put there: its own stand behind an end of the code."""
    inside = instructions[: filler(instructions)]
    return [
        instruction.address
        for before, instruction in itertools.pairwise(inside)
        if instruction.mnemonic == "int3" and before.flow is not Flow.END
    ]


def table_addresses(data: bytes, table: int, stride: int) -> frozenset[int]:
    """The code addresses of a table whose entries begin with their distance from it.

    That is ``struct jump_entry`` (16 bytes; since 4.19) and ``struct static_call_site`` (8 bytes; since 5.10).

    Args:
        data: The table.
        table: Its address.
        stride: Bytes of an entry.

    Raises:
        FactError: It is not such a table.
    """
    if len(data) % stride:
        raise FactError(f"a table of {len(data)} bytes does not consist of entries of {stride}")
    distances: Sequence[int] = [entry for (entry,) in struct.iter_unpack(f"<i{stride - 4}x", data)]
    return frozenset(table + stride * number + distance for number, distance in enumerate(distances))


def _role(instruction: Instruction, ftrace_site: int | None, patched: Patched) -> Role:
    if not instruction.mnemonic:
        return Role.HIDDEN
    if instruction.address == ftrace_site:
        return Role.FTRACE
    if patched.jump_labels is not None and instruction.address in patched.jump_labels:
        return Role.JUMP_LABEL
    if patched.static_calls is not None and instruction.address in patched.static_calls:
        return Role.STATIC_CALL
    if None in (patched.jump_labels, patched.static_calls) and instruction.code in _PATCHABLE:
        return Role.MAYBE_PATCHED
    return Role.CODE


def _cause(instruction: Instruction, role: Role) -> str:
    match role:
        case Role.JUMP_LABEL:
            return "a jump label, which the kernel rewrites itself: it takes no probe"
        case Role.STATIC_CALL:
            return "a static call, which the kernel rewrites itself: it takes no probe"
        case Role.HIDDEN:
            return "not known where instructions begin here"
    return _REFUSED.get(instruction.mnemonic, "")


_NOP = bytes.fromhex("0f1f440000")
_BEFORE_CALL_SITE = 2
_LANDING_PADS = frozenset({bytes.fromhex("f30f1efa"), bytes.fromhex("660f1f00")})
"""``endbr64``, and what the kernel makes of it where nothing calls through a pointer (since 5.18)."""
_PATCHABLE = frozenset({_NOP, bytes.fromhex("6690")})
"""x86: what stands at a jump label, or at a static call to nothing, that is switched off."""
_BUG = "a BUG or WARN: kprobes do not take it"
_NOT_MOVED = "kprobes can neither move nor emulate this instruction"
_REFUSED = {
    "ud2": _BUG,
    "brk": "a BUG, a WARN or another trap: kprobes do not take it",
    "int3": "a breakpoint of the code itself: kprobes do not take it",
    **dict.fromkeys(("iret", "iretd", "iretq", "lcall", "lcalll", "lcallq", "ljmp", "ljmpl", "ljmpq"), _NOT_MOVED),
    **dict.fromkeys(("svc", "hvc", "smc", "eret", "eretaa", "eretab"), _NOT_MOVED),
}
