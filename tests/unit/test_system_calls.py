"""System call entries: the caller's saved registers, and the arguments that tracepoints and bodies tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.session.probe import plan_reads
from explorer.session.probe_spec import ProbeSpec
from symbols import kallsyms, system_calls
from symbols.btf import Btf
from symbols.c_types import TypeKind
from symbols.catalog import Catalog
from symbols.errors import FactError
from symbols.location import InnerRegister, Register, Unknown
from symbols.prototype import Prototype, Source, Trust
from tests.btf_builder import BtfBuilder

NAMES = [
    "__x64_sys_openat", "__ia32_sys_openat", "__ia32_compat_sys_openat", "__arm64_sys_openat", "__s390x_sys_openat",
    "__x64_sys_close", "__do_sys_close", "__x64_sys_getpid", "__x64_sys_rare", "__se_sys_openat", "__do_sys_openat",
    "vfs_read", "__x64_sys_fork", "__do_sys_fork",
]  # fmt: skip
HEAD = """\
ID: 749
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;
"""
FORMATS = f"""\
name: sys_enter_openat
{HEAD}\tfield:int dfd;\toffset:16;\tsize:8;\tsigned:0;
\tfield:const char * filename;\toffset:24;\tsize:8;\tsigned:0;
\tfield:int flags;\toffset:32;\tsize:8;\tsigned:0;
\tfield:umode_t mode;\toffset:40;\tsize:8;\tsigned:0;

print fmt: "dfd: 0x%08lx", ((unsigned long)(REC->dfd))
name: sys_enter_getpid
{HEAD}
print fmt: ""
""".encode()


def catalog(architecture: str = "x86_64", *, formats: bool = True, types: bool = True) -> Catalog:
    lines = [f"{0xFFFFFFFF81000000 + 0x100 * n:016x} T {name}\n" for n, name in enumerate(NAMES)]
    found = Catalog(kallsyms.parse("".join(lines).encode()), architecture)
    if types:
        builder = BtfBuilder()
        fd, long = builder.integer("unsigned int", 4), builder.integer("long", 8, True)
        registers = builder.pointer(builder.const(builder.struct("pt_regs", 168, [])))
        for name in NAMES:
            if name.startswith(("__x64_sys", "__ia32")):
                builder.function(name, long, [("regs", registers)])
        builder.function("__do_sys_close", long, [("fd", fd)])
        builder.function("__do_sys_fork", long, [("__unused", registers)])
        found.add_btf(Btf(builder.build()))
    if formats:
        found.add_system_calls(system_calls.parse_formats(FORMATS))
    return found


def prototype(name: str, catalog: Catalog) -> Prototype:
    return catalog.prototype(catalog.find(name)[0])


def test_arguments_come_out_of_the_callers_registers() -> None:
    found = prototype("__x64_sys_openat", catalog())
    assert found.text == "long __x64_sys_openat(int dfd, const char *filename, int flags, umode_t mode)"
    assert (found.source, found.trust) == (Source.TRACEPOINT, Trust.WRAPPER)
    assert "struct pt_regs" in found.cause
    outer = Register("di", 112, 8)
    assert [parameter.location for parameter in found.parameters] == [
        InnerRegister(outer, "di", 112, 4), InnerRegister(outer, "si", 104, 8), InnerRegister(outer, "dx", 96, 4),
        InnerRegister(outer, "r10", 56, 2),
    ]  # fmt: skip
    assert found.parameters[1].type.is_string
    assert found.parameters[1].location.text() == "di->si"


def test_they_are_read_by_following_the_pointer() -> None:
    found = prototype("__x64_sys_openat", catalog())
    fields, values = plan_reads(ProbeSpec("__x64_sys_openat"), found)
    assert values[:3] == [
        {"register": "di", "dereference": [112], "type": "s32"},
        {"register": "di", "dereference": [104], "type": "u64"},
        {"register": "di", "dereference": [104, 0], "type": "string"},
    ]
    assert [field.name for field in fields] == ["dfd", "filename", "flags", "mode"]


def test_callers_of_32_bits_have_their_own_registers_and_half_of_each() -> None:
    found = prototype("__ia32_sys_openat", catalog())
    assert [p.location.text() for p in found.parameters] == ["di->bx", "di->cx", "di->dx", "di->si"]
    assert "programs of 32 bits" in found.cause
    _, values = plan_reads(ProbeSpec("__ia32_sys_openat"), found)
    assert values[1] == {"register": "di", "dereference": [88], "type": "u32"}


def test_the_body_tells_types_that_a_tracepoint_does_not() -> None:
    found = prototype("__x64_sys_close", catalog())
    assert found.text == "long __x64_sys_close(unsigned int fd)"
    assert (found.source, found.trust) == (Source.BTF, Trust.WRAPPER)


@pytest.mark.parametrize("name", ["__x64_sys_getpid", "__x64_sys_fork"])
def test_a_system_call_without_arguments(name: str) -> None:
    found = prototype(name, catalog())
    assert (found.text, found.parameters) == (f"long {name}(void)", ())


@pytest.mark.parametrize("name", ["__ia32_compat_sys_openat", "__x64_sys_rare"])
def test_without_knowledge_the_one_real_argument_is_left(name: str) -> None:
    found = prototype(name, catalog())
    assert [parameter.name for parameter in found.parameters] == ["regs"]
    assert found.trust is Trust.WRAPPER


def test_aarch64_and_an_architecture_that_is_not_known() -> None:
    found = prototype("__arm64_sys_openat", catalog("aarch64", types=False))
    assert found.parameters[3].location == InnerRegister(Register("x0", 0, 8), "x3", 24, 2)
    found = prototype("__s390x_sys_openat", catalog("s390x", types=False))
    assert all(isinstance(parameter.location, Unknown) for parameter in found.parameters)


def test_bodies_without_btf_take_their_arguments_in_registers() -> None:
    widened = prototype("__se_sys_openat", catalog(types=False))
    assert widened.text == "long __se_sys_openat(long dfd, const char *filename, long flags, long mode)"
    assert widened.trust is Trust.VARIANT
    body = prototype("__do_sys_openat", catalog(types=False))
    assert [p.location.text() for p in body.parameters] == ["di", "si", "dx", "cx"]
    assert prototype("vfs_read", catalog(types=False)).trust is Trust.NONE


def test_types_of_tracepoints() -> None:
    assert system_calls.type_of("const struct x * const ").text == "const struct x *"
    assert system_calls.type_of("const char * const * ").text == "const char *const *"
    assert not system_calls.type_of("const char * const * ").is_string
    assert system_calls.type_of("cap_user_data_t ").kind is TypeKind.POINTER
    assert system_calls.type_of("const enum landlock_rule_type ").kind is TypeKind.ENUM
    assert system_calls.type_of("never_heard_of_t ").kind is TypeKind.UNKNOWN


def test_formats_that_are_none() -> None:
    assert system_calls.parse_formats(b"") == {}
    for data in (b"what\n", b"\tfield:int dfd;\toffset:16;\tsize:8;\tsigned:0;\n", b"name: sys_enter_x", b"\xff\n"):
        with pytest.raises(FactError):
            system_calls.parse_formats(data)


@given(st.binary() | st.text("\tfield:int dfd;offset16size8ned0n*\n").map(str.encode))
def test_garbage_gives_formats_or_an_error(data: bytes) -> None:
    for text in (data, FORMATS + data):
        try:
            system_calls.parse_formats(text)
        except FactError:
            continue
