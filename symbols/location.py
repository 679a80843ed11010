"""Where a value lives at the moment a probe fires: registers, the stack, saved registers, or not known.

Register names are those of tracefs fetch arguments (``di``, ``x0``, ``gpr3``): see Documentation/trace/kprobetrace.rst.

``size`` says how many bytes count. What stands above a narrow value in its register or stack slot is garbage on x86-64
and aarch64 and an extension of it elsewhere; nothing here relies on either. On a big-endian machine the low bytes of a
register are those that its number ends with.

``doubt`` says why a place is only the likely one; it is empty where the convention and the types leave no choice.
"""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Register:
    """The low ``size`` bytes of one register; ``pt_regs_offset`` is its place in the saved registers, in bytes."""

    register: str
    pt_regs_offset: int | None
    size: int
    doubt: str = ""

    def text(self) -> str:
        """Short words for a table cell."""
        return self.register

    def to_json(self) -> dict[str, Any]:
        """The shape of ``show --json``."""
        return {
            "kind": "register", "register": self.register, "pt_regs_offset": self.pt_regs_offset, "size": self.size,
        }  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Registers:
    """A value spread over several registers, lowest bytes first."""

    registers: tuple[str, ...]
    pt_regs_offsets: tuple[int | None, ...]
    size: int
    doubt: str = ""

    def text(self) -> str:
        """Short words for a table cell."""
        return ":".join(self.registers)

    def to_json(self) -> dict[str, Any]:
        """The shape of ``show --json``."""
        return {
            "kind": "registers", "registers": list(self.registers),
            "pt_regs_offsets": list(self.pt_regs_offsets), "size": self.size,
        }  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Stack:
    """On the stack: ``slot`` is N of ``$stackN``, ``sp_offset`` the bytes from the stack pointer at entry to it."""

    slot: int
    sp_offset: int
    size: int
    doubt: str = ""

    def text(self) -> str:
        """Short words for a table cell."""
        return f"sp+{self.sp_offset:#x}"

    def to_json(self) -> dict[str, Any]:
        """The shape of ``show --json``."""
        return {"kind": "stack", "slot": self.slot, "sp_offset": self.sp_offset, "size": self.size}


@dataclasses.dataclass(frozen=True, slots=True)
class Split:
    """Its first bytes in the last argument registers, the rest at the start of the stack's arguments."""

    registers: Registers
    stack: Stack
    doubt: str = ""

    @property
    def size(self) -> int:
        """Of the whole value, in bytes."""
        return self.registers.size + self.stack.size

    def text(self) -> str:
        """Short words for a table cell."""
        return f"{self.registers.text()}:{self.stack.text()}"

    def to_json(self) -> dict[str, Any]:
        """The shape of ``show --json``."""
        return {
            "kind": "split", "registers": self.registers.to_json(), "stack": self.stack.to_json(), "size": self.size,
        }  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """In memory, ``offset`` bytes from where a register points: a variable in the middle of a function.

    ``pt_regs_offset`` is the place of that register in the saved registers, in bytes.
    """

    register: str
    pt_regs_offset: int | None
    offset: int
    size: int
    doubt: str = ""

    @property
    def address(self) -> str:
        """Its address in words: ``sp+0x10``."""
        return f"{self.register}{self.offset:+#x}" if self.offset else self.register

    def text(self) -> str:
        """Short words for a table cell."""
        return f"[{self.address}]"

    def to_json(self) -> dict[str, Any]:
        """The shape of ``show --json``."""
        return {
            "kind": "memory", "register": self.register, "pt_regs_offset": self.pt_regs_offset, "offset": self.offset,
            "size": self.size,
        }  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """By reference: ``pointer`` holds the address of the value, which is ``size`` bytes long."""

    pointer: Register | Stack
    size: int

    @property
    def doubt(self) -> str:
        """That of the pointer."""
        return self.pointer.doubt

    def text(self) -> str:
        """Short words for a table cell."""
        return f"*{self.pointer.text()}"

    def to_json(self) -> dict[str, Any]:
        """The shape of ``show --json``."""
        return {"kind": "reference", "pointer": self.pointer.to_json(), "size": self.size}


@dataclasses.dataclass(frozen=True, slots=True)
class InnerRegister:
    """A register of the caller, saved in a ``struct pt_regs``: the value lies ``offset`` bytes behind its start.

    ``pointer`` holds the address of that; so it is at the entry points of system calls.
    """

    pointer: Register
    register: str
    offset: int
    size: int

    @property
    def doubt(self) -> str:
        """The doubt about the pointer."""
        return self.pointer.doubt

    def text(self) -> str:
        """Short words for a table cell."""
        return f"{self.pointer.text()}->{self.register}"

    def to_json(self) -> dict[str, Any]:
        """The shape of ``show --json``."""
        return {
            "kind": "inner_register", "pointer": self.pointer.to_json(), "register": self.register,
            "offset": self.offset, "size": self.size,
        }  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Unknown:
    """It cannot be told; ``cause`` says why in words for the user."""

    cause: str

    @property
    def doubt(self) -> str:
        """The cause: there is no place to believe in."""
        return self.cause

    def text(self) -> str:
        """Short words for a table cell."""
        return "unknown"

    def to_json(self) -> dict[str, Any]:
        """The shape of ``show --json``."""
        return {"kind": "unknown", "cause": self.cause}


Location = Register | Registers | Stack | Split | Memory | Reference | InnerRegister | Unknown
