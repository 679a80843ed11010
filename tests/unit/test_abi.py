"""Calling conventions on worked cases: the lesson's, those of the psABI documents, and what gcc 12 was seen to do.

The cases of riscv64, s390x and ppc64le were compiled with Debian's cross compilers and read from DWARF once, by hand;
test_abi_dwarf compares x86-64 and aarch64 in every run.
"""

from __future__ import annotations

import pytest

from symbols import pt_regs
from symbols.abi.placement import place
from symbols.abi.shape import Shape, ShapeKind, unknown
from symbols.location import Location, Reference, Register, Registers, Split, Stack, Unknown

CHAR, SHORT, INT, LONG = (Shape(ShapeKind.INTEGER, size, size) for size in (1, 2, 4, 8))
WIDE = Shape(ShapeKind.WIDE, 16, 16)
DOUBLE = Shape(ShapeKind.FLOATING, 8, 8)


def aggregate(size: int, alignment: int = 8, misaligned: bool = False) -> Shape:
    return Shape(ShapeKind.AGGREGATE, size, alignment, misaligned)


def texts(architecture: str, *parameters: Shape, result: Shape | None = None) -> list[str]:
    return [location.text() for location in place(architecture, result, parameters)[1]]


def test_lesson_foo() -> None:
    """``foo(int a, long b, void *c, int d)``: an int is the low four bytes of its register."""
    _, (a, b, c, d) = place("x86_64", None, [INT, LONG, LONG, INT])
    assert a == Register("di", 0x70, 4)
    assert b == Register("si", 0x68, 8)
    assert c == Register("dx", 0x60, 8)
    assert d == Register("cx", 0x58, 4)


def test_lesson_registers_in_memory() -> None:
    """The fields of a ``struct pt_regs`` at 0xffff888100001000."""
    base = 0xFFFF888100001000
    places = {"di": 0x1070, "si": 0x1068, "dx": 0x1060, "ax": 0x1050, "ip": 0x1080, "sp": 0x1098}
    for register, low in places.items():
        offset = pt_regs.offset_of("x86_64", register)
        assert offset is not None
        assert (base + offset) & 0xFFFF == low


def test_saved_registers_have_no_holes() -> None:
    ends = {"x86_64": 0xA8, "aarch64": 272}
    for architecture, end in ends.items():
        layout = pt_regs.layout(architecture)
        assert [saved.offset for saved in layout] == list(range(0, end, 8))
    assert pt_regs.offset_of("aarch64", "pc") == 256
    assert pt_regs.offset_of("x86_64", "orig_ax") == 0x78
    offsets = {
        "riscv64": {"epc": 0, "sp": 16, "a0": 80, "a7": 136, "t6": 248, "orig_a0": 280},
        "s390x": {"r0": 24, "r2": 40, "r6": 72, "r15": 144},
        "ppc64le": {"gpr1": 8, "gpr3": 24, "gpr10": 80, "nip": 256, "ctr": 280, "link": 288, "dsisr": 336},
    }
    for architecture, some in offsets.items():
        assert {name: pt_regs.offset_of(architecture, name) for name in some} == some
    assert pt_regs.layout("vax") == ()
    assert pt_regs.offset_of("vax", "r0") is None


def test_x86_64_stack_begins_above_the_return_address() -> None:
    _, locations = place("x86_64", None, [LONG] * 6 + [INT, CHAR])
    assert locations[5] == Register("r9", 0x40, 8)
    assert locations[6:] == (Stack(1, 8, 4), Stack(2, 16, 1))


def test_x86_64_aggregates() -> None:
    assert texts("x86_64", aggregate(3, 1), aggregate(12, 4), LONG) == ["di", "si:dx", "cx"]
    assert texts("x86_64", aggregate(24), LONG) == ["sp+0x8", "di"], "over two registers: in memory"
    assert texts("x86_64", aggregate(9, 1, misaligned=True), LONG) == ["sp+0x8", "di"], "crooked: in memory"
    assert texts("x86_64", *[LONG] * 5, aggregate(16), LONG) == [
        "di", "si", "dx", "cx", "r8", "sp+0x8", "r9",
    ], "one register is not enough, and stays for the next"  # fmt: skip


def test_x86_64_wide_integers() -> None:
    assert texts("x86_64", WIDE, INT, WIDE) == ["di:si", "dx", "cx:r8"]
    assert texts("x86_64", *[LONG] * 7, WIDE)[6:] == ["sp+0x8", "sp+0x18"], "aligned to 16 bytes from where they begin"
    assert texts("x86_64", *[LONG] * 5, WIDE, LONG)[5:] == ["sp+0x8", "r9"]


@pytest.mark.parametrize(
    ("result", "location"),
    [
        (INT, Register("ax", 0x50, 4)),
        (WIDE, Registers(("ax", "dx"), (0x50, 0x60), 16)),
        (aggregate(12, 4), Registers(("ax", "dx"), (0x50, 0x60), 12)),
        (aggregate(40), Reference(Register("ax", 0x50, 8), 40)),
        (aggregate(0, 1), None),
        (None, None),
    ],
)
def test_x86_64_results(result: Shape | None, location: object) -> None:
    assert place("x86_64", result, [])[0] == location


def test_x86_64_large_result_shifts_the_arguments() -> None:
    assert texts("x86_64", INT, LONG, result=aggregate(40)) == ["si", "dx"]
    assert texts("x86_64", INT, LONG, result=aggregate(16)) == ["di", "si"]


def test_aarch64_registers_and_stack() -> None:
    _, locations = place("aarch64", INT, [INT] * 9 + [CHAR])
    assert locations[0] == Register("x0", 0, 4)
    assert locations[7] == Register("x7", 56, 4)
    assert locations[8:] == (Stack(0, 0, 4), Stack(1, 8, 1))


def test_aarch64_aggregates() -> None:
    assert texts("aarch64", aggregate(16), INT) == ["x0:x1", "x2"]
    assert texts("aarch64", aggregate(24), INT) == ["*x0", "x1"], "over two registers: by reference"
    assert texts("aarch64", *[LONG] * 7, aggregate(16), INT)[7:] == ["sp+0x0", "sp+0x10"], "the stack is final"
    assert texts("aarch64", *[LONG] * 8, aggregate(24))[8:] == ["*sp+0x0"]
    assert texts("aarch64", aggregate(9, 1, misaligned=True)) == ["x0:x1"], "crooked or not"


def test_aarch64_wide_integers_start_at_an_even_register() -> None:
    assert texts("aarch64", INT, WIDE, INT) == ["x0", "x2:x3", "x4"]
    assert texts("aarch64", *[LONG] * 7, WIDE, INT)[7:] == ["sp+0x0", "sp+0x10"]
    assert texts("aarch64", *[LONG] * 9, WIDE)[9:] == ["sp+0x10"]


def test_aarch64_results() -> None:
    assert place("aarch64", LONG, [])[0] == Register("x0", 0, 8)
    assert place("aarch64", aggregate(16), [])[0] == Registers(("x0", "x1"), (0, 8), 16)
    large, (first,) = place("aarch64", aggregate(24), [INT])
    assert isinstance(large, Unknown)
    assert "x8" in large.cause
    assert first == Register("x0", 0, 4), "the address for the result is in a register of its own"


def test_what_cannot_be_told_is_unknown_with_its_cause() -> None:
    for doubtful in (unknown("struct x is only declared"), DOUBLE):
        _, (before, itself, after) = place("x86_64", None, [LONG, doubtful, LONG])
        assert before == Register("di", 0x70, 8)
        assert isinstance(itself, Unknown)
        assert isinstance(after, Unknown)
        assert itself.cause in after.cause
    result, (first,) = place("x86_64", unknown("struct x is only declared"), [LONG])
    assert isinstance(result, Unknown)
    assert isinstance(first, Unknown), "a large result would shift it"
    assert place("aarch64", unknown("struct x is only declared"), [LONG])[1] == (Register("x0", 0, 8),)


def test_a_struct_that_may_be_packed() -> None:
    maybe = aggregate(32, 16)
    assert texts("x86_64", maybe, LONG) == ["sp+0x8", "di"], "at the start both ways agree"
    _, locations = place("x86_64", None, [aggregate(24), maybe, LONG])
    assert [type(location) for location in locations] == [Stack, Unknown, Unknown]
    assert isinstance(place("aarch64", None, [LONG, aggregate(16, 16)])[1][1], Unknown)


def test_an_unknown_architecture_has_no_locations() -> None:
    result, parameters = place("vax", LONG, [LONG])
    assert isinstance(result, Unknown)
    assert "vax" in result.cause
    assert isinstance(parameters[0], Unknown)
    assert place("vax", None, [])[0] is None


def test_x86_64_padding_instead_of_a_member() -> None:
    """A register is kept by gcc for an unnamed bit-field of a word, none for a word that alignment made."""
    hollow = Shape(ShapeKind.AGGREGATE, 16, 8, hollow=True)
    _, (_, itself, after) = place("x86_64", None, [LONG, hollow, LONG])
    assert isinstance(itself, Unknown)
    assert isinstance(after, Unknown)
    assert "padding" in itself.cause
    assert texts("aarch64", LONG, hollow, LONG) == ["x0", "x1:x2", "x3"], "counts like any other word"


def doubtful(architecture: str, *parameters: Shape) -> list[bool]:
    return [bool(location.doubt) for location in place(architecture, None, parameters)[1]]


def test_an_alignment_by_attribute_is_possible_where_the_size_allows_it() -> None:
    pair = aggregate(16)
    assert doubtful("x86_64", *[LONG] * 5, pair, pair, LONG, LONG) == [False] * 9, "even on the stack, or in a register"
    assert doubtful("x86_64", *[LONG] * 7, pair, LONG) == [False] * 7 + [True] * 2
    assert doubtful("x86_64", *[LONG] * 7, aggregate(24), LONG) == [False] * 9, "no multiple of 16"
    assert doubtful("x86_64", aggregate(24), aggregate(32), LONG) == [False, True, False], "registers do not move"
    assert doubtful("aarch64", INT, pair, INT) == [False, True, True], "it would start at x2"
    assert doubtful("aarch64", INT, INT, pair, INT) == [False] * 4
    assert doubtful("aarch64", *[LONG] * 7, pair, INT) == [False] * 9, "on the stack either way"
    assert doubtful("riscv64", INT, pair, INT) == [False] * 3
    assert doubtful("ppc64le", INT, pair, INT) == [False, True, True]
    told = Shape(ShapeKind.AGGREGATE, 16, 16, aligned=True)
    assert texts("aarch64", INT, told, INT) == ["x0", "x2:x3", "x4"]
    assert doubtful("aarch64", INT, told, INT) == [False] * 3


def test_riscv64() -> None:
    assert texts("riscv64", *[INT] * 8, INT, CHAR)[6:] == ["a6", "a7", "sp+0x0", "sp+0x8"]
    assert texts("riscv64", INT, WIDE, INT) == ["a0", "a1:a2", "a3"], "no pairs"
    assert texts("riscv64", INT, aggregate(9, 1, misaligned=True), INT) == ["a0", "a1:a2", "a3"]
    assert texts("riscv64", INT, aggregate(24), INT) == ["a0", "*a1", "a2"]
    assert texts("riscv64", *[INT] * 7, aggregate(16), INT)[7:] == ["a7:sp+0x0", "sp+0x8"]
    assert texts("riscv64", *[LONG] * 9, WIDE, INT)[9:] == ["sp+0x10", "sp+0x20"]
    assert texts("riscv64", INT, result=aggregate(24)) == ["a1"]
    result = place("riscv64", aggregate(16), [])[0]
    assert result == Registers(("a0", "a1"), (80, 88), 16)


def test_a_value_split_between_registers_and_stack() -> None:
    location = place("riscv64", None, [*[INT] * 7, aggregate(12, 4)])[1][7]
    assert location == Split(Registers(("a7",), (136,), 8), Stack(0, 0, 4))
    assert isinstance(location, Split)
    assert location.size == 12
    assert location.to_json() == {
        "kind": "split",
        "registers": {"kind": "registers", "registers": ["a7"], "pt_regs_offsets": [136], "size": 8},
        "stack": {"kind": "stack", "slot": 0, "sp_offset": 0, "size": 4},
        "size": 12,
    }


def test_s390x() -> None:
    assert texts("s390x", INT, *[LONG] * 4) == ["r2", "r3", "r4", "r5", "r6"]
    last: Location = place("s390x", None, [*[LONG] * 5, INT])[1][5]
    assert last == Stack(20, 164, 4), "at the end of its slot"
    assert texts("s390x", INT, WIDE, INT) == ["r2", "*r3", "r4"]
    assert texts("s390x", aggregate(8), aggregate(3, 1), aggregate(16), INT) == ["r2", "*r3", "*r4", "r5"]
    assert texts("s390x", *[LONG] * 5, aggregate(16), CHAR)[5:] == ["*sp+0xa0", "sp+0xaf"]
    assert texts("s390x", INT, aggregate(0, 1), INT) == ["r2", "unknown", "r4"], "gcc passes an empty struct, too"
    for large in (aggregate(1, 1), aggregate(16), WIDE):
        result, (first,) = place("s390x", large, [INT])
        assert isinstance(result, Unknown)
        assert first.text() == "r3"
    assert place("s390x", LONG, [])[0] == Register("r2", 40, 8)


def test_ppc64le() -> None:
    assert texts("ppc64le", *[INT] * 8, INT, CHAR)[6:] == ["gpr9", "gpr10", "sp+0x60", "sp+0x68"]
    assert texts("ppc64le", INT, WIDE, INT) == ["gpr3", "gpr4:gpr5", "gpr6"], "no pairs for integers"
    assert texts("ppc64le", *[LONG] * 9, WIDE, INT)[9:] == ["sp+0x68", "sp+0x78"]
    assert texts("ppc64le", INT, aggregate(24), INT) == ["gpr3", "gpr4:gpr5:gpr6", "gpr7"], "of any size"
    large = place("ppc64le", None, [INT, aggregate(100, 4), INT])[1]
    assert [location.text() for location in large] == [
        "gpr3", "gpr4:gpr5:gpr6:gpr7:gpr8:gpr9:gpr10:sp+0x60", "sp+0x90",
    ]  # fmt: skip
    assert place("ppc64le", aggregate(16), [])[0] == Registers(("gpr3", "gpr4"), (24, 32), 16)
    assert texts("ppc64le", INT, result=aggregate(17, 1)) == ["gpr4"]
