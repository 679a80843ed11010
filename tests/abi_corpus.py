"""Random C functions, to find out where a compiler really puts their arguments.

``source`` is C for a library that calls, for each prototype, one piece of assembly that keeps the registers and the
stack as they were at entry: caught in the act. ``definitions`` is the functions alone, for any architecture: to get
their BTF, and to compare with what DWARF says of them.
"""

from __future__ import annotations

import dataclasses
import random

SCALARS = {
    "char": 1, "signed char": 1, "unsigned short": 2, "int": 4, "unsigned int": 4, "long": 8, "unsigned long": 8,
    "long long": 8, "_Bool": 1, "void *": 8, "const char *": 8, "enum colour": 4, "callback_t": 8, "__int128": 16,
    "enum tiny": 1, "enum huge": 8,
}  # fmt: skip

_PREAMBLE = """
enum colour { RED, BLUE = 7 };
enum tiny { TINY } __attribute__((packed));
enum huge { HUGE = 1ul << 40 };
typedef int (*callback_t)(const char *, ...);
"""

_X86_64 = r"""
__asm__(
    ".bss\n .globl captured\n captured: .skip 4096\n .text\n"
    ".globl capture\n capture:\n"
    " lea captured(%rip), %rax\n"
    " mov %rdi, (%rax)\n mov %rsi, 8(%rax)\n mov %rdx, 16(%rax)\n"
    " mov %rcx, 24(%rax)\n mov %r8, 32(%rax)\n mov %r9, 40(%rax)\n"
    " mov $0, %r10\n"
    "1: mov (%rsp,%r10), %r11\n mov %r11, 48(%rax,%r10)\n add $8, %r10\n cmp $1024, %r10\n jne 1b\n"
    " mov %rdi, %rax\n ret\n"
    ".globl invoke\n invoke:\n"
    " push %rbx\n mov %rdx, %rbx\n mov %rdi, %rax\n mov %rsi, %rdi\n call *%rax\n"
    " mov %rax, (%rbx)\n mov %rdx, 8(%rbx)\n pop %rbx\n ret\n");
"""
REGISTERS = ("di", "si", "dx", "cx", "r8", "r9")
"""In the order in which ``captured`` holds them; the stack follows."""


@dataclasses.dataclass(frozen=True)
class Function:
    """A prototype: the types of its result and its parameters, as C text without the name."""

    name: str
    result: str
    parameters: tuple[str, ...]


@dataclasses.dataclass
class Corpus:
    """Types and functions, the same ones for the same seed."""

    declarations: list[str]
    functions: list[Function]

    def definitions(self) -> str:
        """C text: the types and the functions, which return what lies in a variable of their own."""
        lines = [_PREAMBLE, *self.declarations]
        for function in self.functions:
            named = ", ".join(f"{type_} p{n}" for n, type_ in enumerate(function.parameters)) or "void"
            body = ""
            if function.result != "void":
                lines.append(f"{function.result} result_{function.name};")
                body = f"return result_{function.name};"
            lines.append(f"__attribute__((noinline, noclone)) {function.result} {function.name}({named}) {{ {body} }}")
        return "\n".join(lines)

    def source(self) -> str:
        """C text: the types, and what belongs to each function.

        * ``call_``, which hands bytes of our choice to the assembly in its place,
        * ``masks_``, which tells the bits of its result and its parameters that are no padding,
        * ``sizes_``, how large these are.
        """
        lines = ["#include <string.h>", _PREAMBLE, _X86_64, *self.declarations, "unsigned char result_bytes[256];"]
        for function in self.functions:
            named = ", ".join(f"{type_} p{n}" for n, type_ in enumerate(function.parameters)) or "void"
            body = ""
            if function.result != "void":
                body = f"{function.result} r; memcpy(&r, result_bytes, sizeof r); return r;"
            lines.append(f"{function.result} {function.name}({named}) {{ {body} }}")
            lines.append(f'extern {function.result} capture_{function.name}({named}) __asm__("capture");')
            copies = " ".join(
                f"{type_} p{n}; memcpy(&p{n}, bytes, sizeof p{n}); bytes += sizeof p{n};"
                for n, type_ in enumerate(function.parameters)
            )
            arguments = ", ".join(f"p{n}" for n in range(len(function.parameters)))
            call = f"capture_{function.name}({arguments});"
            lines.append(f"void call_{function.name}(const unsigned char *bytes) {{ {copies} {call} }}")
            types = [function.result] * (function.result != "void") + list(function.parameters)
            masks = " ".join(
                f"{{ {type_} v; memset(&v, 0xff, sizeof v); __builtin_clear_padding(&v);"
                " memcpy(bytes, &v, sizeof v); bytes += sizeof v; }"
                for type_ in types
            )
            lines.append(f"void masks_{function.name}(unsigned char *bytes) {{ {masks} }}")
            sizes = ", ".join(f"sizeof({type_})" for type_ in function.parameters) or "0"
            result = "0" if function.result == "void" else f"sizeof({function.result})"
            lines.append(f"unsigned long sizes_{function.name}[] = {{ {result}, {sizes} }};")
        return "\n".join(lines)


def generate(seed: int, types: int, functions: int) -> Corpus:
    """A corpus of random aggregates and random prototypes over them."""
    dice = random.Random(seed)
    declarations = ["struct nothing {};"]
    aggregates = ["struct nothing"]
    for number in range(types):
        keyword = dice.choice(["struct", "struct", "struct", "union"])
        members = "".join(_member(dice, place, aggregates) for place in range(dice.randint(1, 4)))
        packed = " __attribute__((packed))" if dice.random() < 0.25 else ""
        if dice.random() < 0.07:
            packed += f" __attribute__((aligned({dice.choice([2, 16, 32])})))"
        declarations.append(f"{keyword}{packed} a{number} {{ {members}}};")
        aggregates.append(f"{keyword} a{number}")
    made = []
    for number in range(functions):
        parameters = tuple(_type(dice, aggregates) for _ in range(dice.randint(0, 10)))
        result = "void" if dice.random() < 0.2 else _type(dice, aggregates)
        made.append(Function(f"f{number}", result, parameters))
    return Corpus(declarations, made)


def _type(dice: random.Random, aggregates: list[str]) -> str:
    return dice.choice(aggregates) if dice.random() < 0.4 else dice.choice(list(SCALARS))


def _member(dice: random.Random, place: int, aggregates: list[str]) -> str:
    kind = dice.random()
    if kind < 0.15:
        return f"unsigned int m{place} : {dice.randint(1, 31)}; "
    if kind < 0.25:
        return f"{dice.choice(aggregates)} m{place}; "
    if kind < 0.4:
        return f"{dice.choice(['char', 'short', 'int', 'long'])} m{place}[{dice.choice([0, 1, 2, 3, 4])}]; "
    if kind < 0.44:
        return f"unsigned long : {dice.choice([0, 7, 64])}; "
    scalar = dice.choice(list(SCALARS))
    aligned = " __attribute__((aligned(16)))" if kind > 0.97 else ""
    return f"{scalar} m{place}{aligned}; "
