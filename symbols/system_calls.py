"""System call entries: which of the caller's saved registers hold the arguments, and what the tracepoints say of those.

Since 4.17 the entry point of a system call takes one argument, the ``struct pt_regs`` of the caller, and gets the
system call's own arguments out of it (CONFIG_ARCH_HAS_SYSCALL_WRAPPER; arch/x86/include/asm/syscall_wrapper.h,
arch/arm64/include/asm/syscall_wrapper.h). Their names and types stand in the formats of the tracepoints
``syscalls/sys_enter_*`` (CONFIG_FTRACE_SYSCALLS).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from symbols import pt_regs
from symbols.c_types import CType, TypeKind
from symbols.errors import FactError
from symbols.list_text import decode
from symbols.location import InnerRegister, Location, Register, Unknown

_ENTRY = re.compile(r"__(x64|ia32|x32|arm64|s390x?|riscv)_(compat_)?sys_(\w+)")
_BODY = re.compile(r"__(?:do|se)_sys_(\w+)")

_ARM64 = tuple(f"x{number}" for number in range(6))
_ARGUMENTS = {
    "x64": ("di", "si", "dx", "r10", "r8", "r9"),  # not cx: the instruction syscall overwrites it
    "x32": ("di", "si", "dx", "r10", "r8", "r9"),
    "ia32": ("bx", "cx", "dx", "si", "di", "bp"),
    "arm64": _ARM64,
}
_POINTERS = {"x64": "di", "x32": "di", "ia32": "di", "arm64": "x0"}
_WORD = 8
_NARROW = 4

_NAME = re.compile(r"name: sys_enter_(\w+)")
_FIELD = re.compile(r"\tfield:((?:[^;]*\W)?)(\w+);\toffset:[0-9]+;\tsize:[0-9]+;\tsigned:[01];")
_OURS = ("common_", "__syscall_nr")

_INTEGERS: dict[str, tuple[TypeKind, int]] = {
    **dict.fromkeys(("int", "pid_t", "key_t", "timer_t", "clockid_t", "mqd_t", "key_serial_t", "qid_t", "rwf_t",
                     "__s32", "s32"), (TypeKind.SIGNED, 4)),
    **dict.fromkeys(("unsigned int", "unsigned", "uid_t", "gid_t", "u32", "__u32"), (TypeKind.UNSIGNED, 4)),
    **dict.fromkeys(("long", "loff_t", "off_t", "__s64", "s64"), (TypeKind.SIGNED, 8)),
    **dict.fromkeys(("unsigned long", "size_t", "aio_context_t", "__u64", "u64"), (TypeKind.UNSIGNED, 8)),
    "umode_t": (TypeKind.UNSIGNED, 2),
}  # fmt: skip
"""The types of arguments that are no pointers, on 64-bit kernels: a part of the ABI, so they do not change."""
_POINTER_TYPES = frozenset({"cap_user_header_t", "cap_user_data_t"})


@dataclasses.dataclass(frozen=True, slots=True)
class SystemCallEntry:
    """What the name of an entry point tells.

    Attributes:
        call: The system call, as the kernel's sources name it: ``openat``, ``newfstat``.
        compat: Whether it is a system call of its own for callers of 32 bits.
        flavour: Whom it is for: ``x64``, ``ia32``, ``x32``, ``arm64`` ...
    """

    call: str
    compat: bool
    flavour: str

    @property
    def narrow(self) -> bool:
        """Whether only the low 32 bits of each register belong to the argument."""
        return self.flavour == "ia32" or (self.compat and self.flavour != "x32")

    @property
    def who(self) -> str:
        """Who comes here, in words, where it is not everybody."""
        return "programs of 32 bits" if self.narrow else "programs of the x32 ABI" if self.flavour == "x32" else ""

    def location(self, architecture: str, position: int, size: int) -> Location:
        """Where the argument at a position, counted from 0, lives when the entry point is called."""
        registers, pointer = _ARGUMENTS.get(self.flavour), _POINTERS.get(self.flavour)
        if registers is None or pointer is None or position >= len(registers):
            return Unknown(f"where {architecture} saves the arguments of a system call is not known")
        offset = pt_regs.offset_of(architecture, registers[position])
        if offset is None:
            return Unknown(f"the saved registers of {architecture} are not known")
        outer = Register(pointer, pt_regs.offset_of(architecture, pointer), _WORD)
        return InnerRegister(outer, registers[position], offset, min(size, _NARROW if self.narrow else _WORD))


@dataclasses.dataclass(frozen=True, slots=True)
class Argument:
    """An argument as the tracepoint has it."""

    name: str
    type: CType


Formats = Mapping[str, tuple[Argument, ...]]
"""Arguments by system call."""


def entry_of(name: str) -> SystemCallEntry | None:
    """What a symbol's name tells; None when it is no entry point of a system call."""
    match = _ENTRY.fullmatch(name)
    return SystemCallEntry(match[3], match[2] is not None, match[1]) if match else None


def body_of(name: str) -> str | None:
    """The system call whose body a function is, its arguments in registers as usual: ``__do_sys_*``, ``__se_sys_*``."""
    match = _BODY.fullmatch(name)
    return match[1] if match else None


def parse_formats(data: bytes) -> dict[str, tuple[Argument, ...]]:
    """Read the formats of all ``sys_enter_*`` tracepoints, one behind the other.

    Raises:
        FactError: They are not that.
    """
    found: dict[str, list[Argument]] = {}
    arguments: list[Argument] | None = None
    for line in decode(data, "syscall_formats").splitlines():
        if named := _NAME.fullmatch(line):
            arguments = found.setdefault(named[1], [])
        elif field := _FIELD.fullmatch(line):
            if arguments is None:
                raise FactError(f"syscall_formats has a field of no system call: {line[:60]!r}")
            if not field[2].startswith(_OURS):
                arguments.append(Argument(field[2], type_of(field[1])))
    if data and not found:
        raise FactError("syscall_formats names no system call")
    return {call: tuple(of_call) for call, of_call in found.items()}


def type_of(text: str) -> CType:
    """A type as the tracepoints write it; of kind UNKNOWN where it is none of those that system calls take."""
    words = " ".join(text.replace("*", " * ").split())
    if words.endswith("* const"):  # tells something to the function's own body only
        words = words.removesuffix(" const")
    plain = " ".join(word for word in words.split() if word not in ("const", "volatile", "*"))
    if words.endswith("*"):
        stars = words.count("*")
        return CType(
            words.replace("* ", "*"), TypeKind.POINTER, _WORD, plain if stars == 1 else f"{plain} {'*' * (stars - 1)}"
        )
    if plain in _POINTER_TYPES:
        return CType(words, TypeKind.POINTER, _WORD, "void")
    if plain.startswith("enum "):
        return CType(words, TypeKind.ENUM, 4)
    kind, size = _INTEGERS.get(plain, (TypeKind.UNKNOWN, None))
    return CType(words, kind, size)


def declaration(name: str, arguments: tuple[Argument, ...]) -> str:
    """One line of C, without the semicolon."""
    texts = (f"{a.type.text}{'' if a.type.text.endswith('*') else ' '}{a.name}" for a in arguments)
    return f"long {name}({', '.join(texts) or 'void'})"
