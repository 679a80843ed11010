"""kallsyms: columns, order, sizes, hidden addresses, modules, and damage."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from symbols import kallsyms
from symbols.errors import FactError
from symbols.symbol import Symbol

KERNEL = b"""\
0000000000000000 A fixed_percpu_data
0000000000001000 A cpu_tss_rw
ffffffff81000000 T _text
ffffffff81000000 T _stext
ffffffff81000010 t __pfx_first
ffffffff81000020 t first
ffffffff81000060 T second
ffffffff81000060 W second_alias
ffffffff81000100 T _etext
"""
MODULES = b"""\
ffffffffc0a01000 t ext4_late\t[ext4]
ffffffffc0a00000 t ext4_early\t[ext4]
ffffffffc0b00000 t other\t[xfs]
ffffffffc0c00000 t bpf_prog_1\t[bpf]
"""


def test_columns() -> None:
    table = kallsyms.parse(KERNEL)
    assert len(table) == 9
    assert table.symbol(5) == Symbol(5, "first", 0xFFFFFFFF81000020, 0x40, "t", None)
    assert not table.hidden


def test_size_reaches_to_the_next_address_past_aliases() -> None:
    table = kallsyms.parse(KERNEL)
    assert table.size(6) == table.size(7) == 0xA0
    assert table.size(8) is None, "nothing follows, so it cannot be told"


def test_an_address_belongs_to_the_first_of_its_aliases() -> None:
    table = kallsyms.parse(KERNEL)
    assert table.at(0xFFFFFFFF81000000) == 2
    assert table.at(0xFFFFFFFF81000099) == 6
    assert table.at(0xFFFFFFFF8100001F) == 4


def test_absolute_symbols_hold_no_address() -> None:
    table = kallsyms.parse(KERNEL)
    assert table.at(0x1008) is None
    assert kallsyms.parse(b"ffffffff81000000 T _text\n").at(0x10) is None, "below everything"


def test_modules_need_not_be_in_order() -> None:
    table = kallsyms.parse(KERNEL + MODULES)
    late, early, other = 9, 10, 11
    assert table.module(late) == "ext4"
    assert table.module(0) is None
    assert table.size(early) == 0x1000
    assert table.size(late) is None, "what follows belongs to another module"
    assert table.at(0xFFFFFFFFC0A00004) == early
    assert table.at(0xFFFFFFFFC0B00004) == other
    assert table.neighbours(late) == (early, None)
    assert table.modules == {"ext4", "xfs"}, "code made at run time is no module"


def test_hidden_addresses_leave_the_names() -> None:
    table = kallsyms.parse(b"0000000000000000 T _text\n0000000000000000 t first\n0000000000000000 t x\t[ext4]\n")
    assert table.hidden
    assert table.names == ["_text", "first", "x"]
    assert (table.address(1), table.size(1), table.at(0), table.neighbours(1)) == (None, None, None, (None, None))


def test_a_beginning_gives_its_whole_lines() -> None:
    assert kallsyms.parse(KERNEL[:200], partial=True).names == kallsyms.parse(KERNEL).names[:7]
    assert len(kallsyms.parse(KERNEL[:10], partial=True)) == 0


def test_many_pieces_read_like_one() -> None:
    lines = [f"{0xFFFFFFFF81000000 + 16 * n:016x} t function_{n}\n" for n in range(9000)]
    table = kallsyms.parse("".join(lines).encode())
    assert len(table) == 9000
    assert table.symbol(8500) == Symbol(8500, "function_8500", 0xFFFFFFFF81000000 + 16 * 8500, 16, "t", None)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (KERNEL[:-5], 9),
        (KERNEL + b"ffffffff81000200 T\n", 10),
        (KERNEL + b"ffffffff81000200 T two names\n", 10),
        (KERNEL + b"no_address_at_all T name\n", 10),
        (KERNEL + b"ffffffff81000200 TT name\n", 10),
        (KERNEL + b"\n", 10),
        (KERNEL + MODULES + b"ffffffff81000200 T name\t[ext4\n", 14),
        (KERNEL + b"ffffffff81000200 T na\x1b[2Jme\n", 10),
        (KERNEL + b"ffffffff81000200 T na\xc3\xa4me\n", 10),
        (b"ffffffff81000200 T\nffffffff81000200 ffffffff81000200 T name\n", 1),
        (b"fffffffff81000200 T name\n", 1),
    ],
)
def test_damage_is_told_with_its_line(damage: bytes, line: int) -> None:
    with pytest.raises(FactError, match=rf"line {line}\b"):
        kallsyms.parse(damage)


def test_an_empty_list_is_an_error() -> None:
    with pytest.raises(FactError, match="empty"):
        kallsyms.parse(b"")


@given(st.binary() | st.text(alphabet="0123456789abcdef tT\n\t[]_x").map(str.encode))
@example(KERNEL.replace(b"\n", b"\r\n"))
def test_garbage_gives_a_table_or_an_error(data: bytes) -> None:
    for partial in (False, True):
        try:
            table = kallsyms.parse(data, partial=partial)
        except FactError:
            continue
        for row in range(len(table)):
            symbol = table.symbol(row)
            assert symbol.name.isprintable()
            if symbol.address is not None:
                table.at(symbol.address)
                table.neighbours(row)


@given(
    st.lists(st.tuples(st.integers(1, 2**64 - 1), st.sampled_from("tTdDwW"), st.sampled_from(["a", "b_c", "d.cold"])))
)
def test_what_is_written_is_read(rows: list[tuple[int, str, str]]) -> None:
    data = "".join(f"{address:016x} {letter} {name}\n" for address, letter, name in rows)
    table = kallsyms.parse(data.encode(), partial=True)
    assert [(table.address(row), table.types[row], table.names[row]) for row in range(len(table))] == rows
    ordered = sorted(address for address, _, _ in rows)
    for address, _, _ in rows:
        found = table.at(address)
        assert found is not None
        assert table.address(found) == address
        following = next((other for other in ordered if other > address), None)
        assert table.size(found) == (following - address if following else None)
