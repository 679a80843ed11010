"""What raw values mean, with the worked numbers of the lesson behind the project."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.session.events import Event
from explorer.session.probe import Probe, plan_reads
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.values import (
    ARM64,
    FIVE_LEVEL,
    FOUR_LEVEL,
    Value,
    ValueClass,
    address_space,
    describe,
    interpret,
    printable,
)
from symbols.abi.conventions import CONVENTIONS
from symbols.c_types import CType, TypeKind
from symbols.location import Register, Registers, Stack, Unknown
from symbols.prototype import Parameter, Prototype, Source, Trust

INT = CType("int", TypeKind.SIGNED, 4)
LONG = CType("long", TypeKind.SIGNED, 8)
SIZE = CType("size_t", TypeKind.UNSIGNED, 8)
STRING = CType("const char *", TypeKind.POINTER, 8, pointee="char")
POINTER = CType("struct open_how *", TypeKind.POINTER, 8, pointee="struct open_how")


def read(c_type: CType, raw: int, *, name: str = "", returned: bool = False) -> Value:
    return interpret(c_type, raw, FOUR_LEVEL, name=name, returned=returned)


def test_an_int_is_only_the_low_32_bits() -> None:
    assert read(INT, 0xFFFFFFFF).raw == -1
    assert read(INT, 0xDEADBEEF_FFFFFF9C).raw == -100
    assert read(INT, 0x1_0000_0005).raw == 5


def test_at_fdcwd_is_minus_100_and_nothing_else() -> None:
    assert read(INT, 0xFFFFFF9C, name="dfd").text == "AT_FDCWD"
    assert read(INT, 0xFFFFFFFF, name="dfd").text == "-1"
    assert read(INT, 0xFFFFFF9C, name="count").text == "-100"


def test_the_classes_of_pointers() -> None:
    assert read(POINTER, 0).text == "NULL"
    assert read(POINTER, 0x7FFE12345678).value_class is ValueClass.USER
    assert read(POINTER, 0xFFFF888112340000).value_class is ValueClass.KERNEL
    assert read(POINTER, 0xFFFF800000000000).value_class is ValueClass.KERNEL
    assert read(POINTER, 0x0000800000000000).value_class is ValueClass.NON_CANONICAL
    assert read(POINTER, 0xFFFF7FFFFFFFFFFF).value_class is ValueClass.NON_CANONICAL
    assert read(POINTER, 0xFFFFFFFFFFFFFFFE).text == "ERR_PTR(-ENOENT)"
    assert read(POINTER, -2).value_class is ValueClass.ERROR
    assert read(POINTER, 0xFFFFFFFFFFFFF000).value_class is ValueClass.KERNEL  # one below the last error


def test_five_level_paging_moves_the_limits() -> None:
    assert address_space("x86_64", frozenset({"la57"})) is FIVE_LEVEL
    assert address_space("x86_64") is FOUR_LEVEL
    assert address_space("aarch64") is ARM64
    assert FIVE_LEVEL.classify(0xFF11000000000000) is ValueClass.KERNEL
    assert FOUR_LEVEL.classify(0xFF11000000000000) is ValueClass.NON_CANONICAL


def test_errors_are_named_on_returns_only() -> None:
    assert read(LONG, 0xFFFFFFFFFFFFFFEA, returned=True).text == "-EINVAL"
    assert read(LONG, 0xFFFFFFFFFFFFFFEA, returned=True).raw == -errno.EINVAL
    assert read(INT, -2, returned=True).text == "-ENOENT"
    assert read(INT, -2).text == "-2"
    assert read(LONG, -512, returned=True).text == "-ERESTARTSYS"
    assert read(LONG, -95, returned=True).text == "-EOPNOTSUPP"
    assert read(LONG, -4096, returned=True).text == "-4096"
    assert read(SIZE, 0xFFFFFFFFFFFFFFEA, returned=True).text == "0xffffffffffffffea"


def test_enums_and_bools() -> None:
    migrate = CType("enum migrate_mode", TypeKind.ENUM, 4, enumerators=(("MIGRATE_ASYNC", 0), ("MIGRATE_SYNC", 2)))
    assert read(migrate, 2).text == "MIGRATE_SYNC"
    assert read(migrate, 7).text == "7"
    assert read(CType("bool", TypeKind.BOOL, 1), 0xFF01).text == "true"
    assert read(CType("bool", TypeKind.BOOL, 1), 2).text == "0x2"


def openat2() -> Prototype:
    """The lesson's form of do_sys_openat2, with its four arguments."""
    names = [("dfd", INT, "di", 4), ("filename", STRING, "si", 8), ("how", POINTER, "dx", 8), ("usize", SIZE, "cx", 8)]
    parameters = tuple(Parameter(name, c_type, Register(reg, 0, size)) for name, c_type, reg, size in names)
    return Prototype("do_sys_openat2", "", Source.BTF, Trust.EXACT, "", LONG, Register("ax", 80, 8), parameters)


def event_of(spec: ProbeSpec, prototype: Prototype, raw: tuple[int | str | None, ...]) -> Event:
    fields, _ = plan_reads(spec, prototype)
    return Event(1, Probe(spec, prototype, fields), 0, 0, 154, 154, "cat", "task", raw, None)


def test_the_lesson_by_hand() -> None:
    spec = ProbeSpec("do_sys_openat2")
    _, reads = plan_reads(spec, openat2())
    assert [(read.get("register"), read["dereference"], read["type"]) for read in reads] == [
        ("di", [], "s32"), ("si", [], "u64"), ("si", [0], "string"), ("dx", [], "u64"), ("cx", [], "u64"),
    ]  # fmt: skip
    event = event_of(spec, openat2(), (-1, 0x7FFE12345678, "/etc/passwd", 0xFFFF888112340000, 0x18))
    assert [(v.name, v.text) for v in describe(event, FOUR_LEVEL)] == [
        ("dfd", "-1"), ("filename", '"/etc/passwd"'), ("how", "kernel:0xffff888112340000"), ("usize", "24"),
    ]  # fmt: skip


def test_a_fault_is_shown_as_one() -> None:
    event = event_of(ProbeSpec("do_sys_openat2"), openat2(), (-100, 0x7FFE12345678, None, 0, 24))
    filename = describe(event, FOUR_LEVEL)[1]
    assert filename.text.startswith("(fault)")
    assert filename.raw == 0x7FFE12345678
    assert filename.value_class is ValueClass.FAULT


def test_a_null_string_is_null_not_a_fault() -> None:
    event = event_of(ProbeSpec("do_sys_openat2"), openat2(), (-100, 0, None, 0, 24))
    assert describe(event, FOUR_LEVEL)[1].text == "NULL"


def test_a_return_is_read_by_its_type() -> None:
    spec = ProbeSpec("do_sys_openat2", kind=ProbeKind.RETURN)
    _, reads = plan_reads(spec, openat2())
    assert reads == [{"return": True, "dereference": [], "type": "s64"}]
    assert [v.text for v in describe(event_of(spec, openat2(), (-2,)), FOUR_LEVEL)] == ["-ENOENT"]


def test_stack_pairs_and_what_cannot_be_told() -> None:
    wide = CType("__int128", TypeKind.SIGNED, 16)
    parameters = (
        Parameter("a", wide, Registers(("di", "si"), (0x70, 0x68), 16)),
        Parameter("b", INT, Stack(1, 8, 4)),
        Parameter("c", CType("struct s", TypeKind.AGGREGATE, None), Unknown("its size is not known")),
    )
    prototype = Prototype("f", "", Source.BTF, Trust.EXACT, "", LONG, Register("ax", 80, 8), parameters)
    _, reads = plan_reads(ProbeSpec("f"), prototype)
    assert [r.get("register") or r.get("stack") for r in reads] == ["di", "si", 1]
    values = describe(event_of(ProbeSpec("f"), prototype, (1, 2, -7)), FOUR_LEVEL)
    assert [v.text for v in values] == ["{0x1, 0x2}", "-7", "(its size is not known)"]


def test_an_offset_probe_reads_no_arguments() -> None:
    registers = ["ax", "di", "si", "dx", "cx", "r8", "r9"]
    convention = CONVENTIONS["x86_64"]
    for spec, offset in ((ProbeSpec("do_sys_openat2", offset=8), 8), (ProbeSpec("", address=0x1008), 8)):
        fields, reads = plan_reads(spec, openat2(), convention, offset)
        assert [field.name for field in fields] == [read["register"] for read in reads] == registers
    fields, _ = plan_reads(ProbeSpec("", address=0x1000), openat2(), convention, 0)
    assert [field.name for field in fields] == ["dfd", "filename", "how", "usize"], "an address may be the entry's"


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\nb", "\x07", "\x9b31m", "\u202e", "\udcff", "tab\t"])
def test_hostile_strings_become_harmless(hostile: str) -> None:
    assert printable(hostile).isprintable()
    assert printable(hostile).isascii()


@given(st.text(st.characters(codec=None)))
def test_any_string_becomes_printable(text: str) -> None:
    assert printable(text).isprintable()


@given(st.integers(-(1 << 63), (1 << 64) - 1), st.sampled_from([INT, LONG, SIZE, POINTER]), st.booleans())
def test_any_number_has_a_meaning_within_its_type(raw: int, c_type: CType, returned: bool) -> None:
    value = read(c_type, raw, returned=returned)
    assert value.raw is not None
    assert c_type.size is not None
    assert (value.raw - raw) % (1 << (8 * c_type.size)) == 0
    assert value.text
