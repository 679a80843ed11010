"""C text of types: what a compiler says to it is the judge."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import VOID_ID
from symbols.btf_values import c_type
from symbols.c_declaration import declaration
from symbols.c_types import TypeKind
from tests.btf_builder import BtfBuilder


class Types:
    """A builder with the types that the cases are made of."""

    def __init__(self) -> None:
        self.b = b = BtfBuilder()
        self.int = b.integer("int", 4, signed=True)
        self.char = b.integer("char", 1)
        self.ulong = b.integer("long unsigned int", 8)
        self.bool = b.integer("_Bool", 1, boolean=True, bits=8)
        self.file = b.struct("file", 8, [("count", self.ulong, 0)])
        self.text = b.pointer(b.const(self.char))
        self.callback = b.pointer(b.prototype(self.int, [("", b.pointer(self.file)), ("", self.text)]))


def cases() -> list[tuple[str, int, Types]]:
    t = Types()
    b = t.b
    described = {
        "int x": t.int,
        "unsigned long x": t.ulong,
        "bool x": t.bool,
        "const char *x": t.text,
        "char *const x": b.const(b.pointer(t.char)),
        "const char *const *x": b.pointer(b.const(t.text)),
        "const volatile int x": b.const(b.volatile(t.int)),
        "char *restrict x": b.restrict(b.pointer(t.char)),
        "char **x": b.pointer(b.pointer(t.char)),
        "int x[3][4]": b.array(b.array(t.int, 4), 3),
        "int (*x)[4]": b.pointer(b.array(t.int, 4)),
        "int *x[4]": b.array(b.pointer(t.int), 4),
        "const char *const x[2]": b.array(b.const(t.text), 2),
        "int (*x)(struct file *, const char *)": t.callback,
        "int (**x)(struct file *, const char *)": b.pointer(t.callback),
        "int (*x[2])(struct file *, const char *)": b.array(t.callback, 2),
        "int (*(*x)(void))(struct file *, const char *)": b.pointer(b.prototype(t.callback, [])),
        "int (*(*x)(int))[4]": b.pointer(b.prototype(b.pointer(b.array(t.int, 4)), [("", t.int)])),
        "void (*x)(const char *fmt, ...)": b.pointer(b.prototype(VOID_ID, [("fmt", t.text), ("", VOID_ID)])),
        "void (*const x)(void)": b.const(b.pointer(b.prototype(VOID_ID, []))),
        "struct file x": t.file,
        "union either *x": b.pointer(b.struct("either", 4, [("i", t.int, 0)], kind=Kind.UNION)),
        "enum colour x": b.enum("colour", [("RED", 0)]),
        "struct secret *x": b.pointer(b.forward("secret")),
        "union mystery *x": b.pointer(b.forward("mystery", union=True)),
        "gfp_t x": b.typedef("gfp_t", t.int),
        "const void *x": b.pointer(b.const(VOID_ID)),
    }
    return [(text, type_id, t) for text, type_id in described.items()]


CASES = cases()
BTF = Btf(CASES[0][2].b.build())


@pytest.mark.parametrize(("text", "type_id"), [(text, type_id) for text, type_id, _ in CASES])
def test_text(text: str, type_id: int) -> None:
    assert declaration(BTF, type_id, "x") == text


def test_a_compiler_takes_every_declaration_for_what_it_says(tmp_path: Path) -> None:
    """Gcc sees our text beside the text in this file, with types spelled out as nested typedefs by ``__typeof__``."""
    source = [
        "typedef _Bool bool; typedef int gfp_t; enum colour { RED }; union either { int i; };",
        "struct file { unsigned long count; };",
    ]
    for number, (text, type_id, _) in enumerate(CASES):
        named = re.sub(r"\bx\b", f"expected_{number}", text)
        same = f"__builtin_types_compatible_p({declaration(BTF, type_id)}, __typeof__(expected_{number}))"
        source.append(f'extern {named}; _Static_assert({same}, "{text}");')
    path = tmp_path / "declarations.c"
    path.write_text("\n".join(source))
    subprocess.run(["gcc", "-std=gnu11", "-fsyntax-only", "-Wall", "-Werror", str(path)], check=True)


def test_address_spaces_and_anonymous_types() -> None:
    t = Types()
    user = t.b.pointer(t.b.tag("user", t.b.const(t.char)))
    other = t.b.pointer(t.b.tag("whatever", t.char))
    anonymous = t.b.struct("", 4, [("i", t.int, 0)])
    btf = Btf(t.b.build())
    assert declaration(btf, user, "filename") == "const char __user *filename"
    assert declaration(btf, other, "p") == "char *p"
    assert declaration(btf, anonymous, "s") == "struct {...} s"


def test_values_of_types() -> None:
    t = Types()
    b = t.b
    name = b.typedef("name_t", b.pointer(b.const(b.volatile(t.char))))
    handle = b.pointer(b.const(b.typedef("file_t", t.file)))
    untyped = b.pointer(b.const(VOID_ID))
    colour = b.const(b.enum("colour", [("RED", 0), ("BLUE", 7)]))
    flag = b.integer("int", 4, signed=True, bits=3)
    btf = Btf(b.build())
    kinds = {t.int: TypeKind.SIGNED, t.ulong: TypeKind.UNSIGNED, t.bool: TypeKind.BOOL, t.file: TypeKind.AGGREGATE}
    assert {type_id: c_type(btf, type_id).kind for type_id in kinds} == kinds
    assert c_type(btf, name).is_string
    assert c_type(btf, name).text == "name_t"
    assert (c_type(btf, handle).pointee, c_type(btf, handle).pointee_size) == ("file_t", 8)
    assert (c_type(btf, untyped).pointee, c_type(btf, untyped).pointee_size) == ("void", None)
    assert c_type(btf, colour).enumerators == (("RED", 0), ("BLUE", 7))
    assert c_type(btf, flag).bits == 3
    assert c_type(btf, VOID_ID).kind is TypeKind.VOID
