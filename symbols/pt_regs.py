"""The registers that a kernel saves when a probe fires, by architecture: ``struct pt_regs`` as it lies in memory.

Names are those that tracefs takes in a fetch argument (``regs_query_register_offset`` of each architecture); what it
does not take, such as s390x's PSW, is left out. Sources: arch/x86/include/asm/ptrace.h, arch/riscv/include/asm/ptrace.h
(the same since 4.15), and the uapi/asm/ptrace.h of arm64, s390 and powerpc: what those kernels append has changed over
time and is no register of the interrupted code.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class SavedRegister:
    """One field: ``offset`` and ``size`` in bytes."""

    name: str
    offset: int
    size: int = 8


def _in_order(names: str, start: int = 0) -> tuple[SavedRegister, ...]:
    """One after the other; ``-`` for a word that has no name of its own."""
    placed = enumerate(names.split())
    return tuple(SavedRegister(name, start + 8 * place) for place, name in placed if name != "-")


_X86_64 = _in_order("r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss")
_AARCH64 = _in_order(" ".join(f"x{number}" for number in range(31)) + " sp pc pstate")
_RISCV64 = _in_order(
    "epc ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6 "
    "status badaddr cause orig_a0"
)
_S390X = _in_order(" ".join(f"r{number}" for number in range(16)), start=24)  # behind args[1] and the PSW
_PPC64LE = _in_order(
    " ".join(f"gpr{number}" for number in range(32)) + " nip msr - ctr link xer ccr softe trap dar dsisr"
)

LAYOUTS: dict[str, tuple[SavedRegister, ...]] = {
    "x86_64": _X86_64, "aarch64": _AARCH64, "riscv64": _RISCV64, "s390x": _S390X, "ppc64le": _PPC64LE,
}  # fmt: skip
"""By architecture as ``uname -m`` prints it; each in ascending order of offsets."""

_OFFSETS = {arch: {saved.name: saved.offset for saved in layout} for arch, layout in LAYOUTS.items()}


def layout(architecture: str) -> tuple[SavedRegister, ...]:
    """The saved registers of an architecture; empty when it is not known."""
    return LAYOUTS.get(architecture, ())


def offset_of(architecture: str, register: str) -> int | None:
    """The place of a register in the saved registers, in bytes; None when it is not known."""
    return _OFFSETS.get(architecture, {}).get(register)
