"""The registers that a kernel saves when a probe fires, by architecture: ``struct pt_regs`` as it lies in memory.

Names are those that tracefs takes in a fetch argument (``regs_query_register_offset`` of each architecture).
Sources: arch/x86/include/asm/ptrace.h, arch/arm64/include/uapi/asm/ptrace.h (the part that user space sees; what the
kernel appends to it has changed over time and is no register of the interrupted code).
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class SavedRegister:
    """One field: ``offset`` and ``size`` in bytes."""

    name: str
    offset: int
    size: int = 8


def _in_order(names: str) -> tuple[SavedRegister, ...]:
    return tuple(SavedRegister(name, 8 * place) for place, name in enumerate(names.split()))


_X86_64 = _in_order("r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss")
_AARCH64 = _in_order(" ".join(f"x{number}" for number in range(31)) + " sp pc pstate")

LAYOUTS: dict[str, tuple[SavedRegister, ...]] = {"x86_64": _X86_64, "aarch64": _AARCH64}
"""By architecture as ``uname -m`` prints it; each in ascending order of offsets."""

_OFFSETS = {arch: {saved.name: saved.offset for saved in layout} for arch, layout in LAYOUTS.items()}


def layout(architecture: str) -> tuple[SavedRegister, ...]:
    """The saved registers of an architecture; empty when it is not known."""
    return LAYOUTS.get(architecture, ())


def offset_of(architecture: str, register: str) -> int | None:
    """The place of a register in the saved registers, in bytes; None when it is not known."""
    return _OFFSETS.get(architecture, {}).get(register)
