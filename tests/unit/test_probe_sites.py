"""Which instructions take a probe; what is armed by whomever."""

from __future__ import annotations

import struct

import pytest

from symbols.disassembly import disassemble
from symbols.errors import FactError
from symbols.kprobes_list import parse_kprobes
from symbols.probe_sites import Patched, Role, call_site, judge, table_addresses, unexplained_breakpoints

START = 0xFFFFFFFF81234560
# endbr64; nop (ftrace); nop (jump label); call +0 (static call); ud2; iretq; push %rbx; ret; int3; nop
CODE = bytes.fromhex("f30f1efa 0f1f440000 0f1f440000 e800000000 0f0b 48cf 53 c3 cc 90")


def test_every_instruction_is_judged() -> None:
    patched = Patched(frozenset({START + 9}), frozenset({START + 14}))
    sites = judge(disassemble("x86_64", START, CODE), START + 4, patched)
    assert [(site.instruction.address - START, site.role) for site in sites] == [
        (0, Role.ENTRY), (4, Role.FTRACE), (9, Role.JUMP_LABEL), (14, Role.STATIC_CALL), (19, Role.CODE),
        (21, Role.CODE), (23, Role.CODE), (24, Role.CODE), (25, Role.PADDING),
    ]  # fmt: skip
    assert [bool(site.cause) for site in sites] == [False, False, True, True, True, True, False, False, True]
    assert sites[-1].instruction.code == b"\xcc\x90"
    assert "BUG" in sites[4].cause


def test_without_the_tables_what_may_be_patched_is_said_to_be_so() -> None:
    sites = judge(disassemble("x86_64", START, CODE), START + 4, Patched())
    assert (sites[2].role, sites[2].cause) == (Role.MAYBE_PATCHED, "")


@pytest.mark.parametrize("pad", ["f30f1efa", "660f1f00", ""])
@pytest.mark.parametrize("site", ["0f1f440000", "e811223344"])
def test_a_call_site_is_told_by_its_look(pad: str, site: str) -> None:
    code = bytes.fromhex(f"{pad}{site}53c3")
    assert call_site(disassemble("x86_64", START, code)) == START + len(pad) // 2
    assert call_site(disassemble("x86_64", START, bytes.fromhex(f"{pad}53{site}c3"))) is None


def test_a_breakpoint_in_the_way_is_nobody_that_the_compiler_knows() -> None:
    # push %rbx; int3; ret; int3 (behind the return: the compiler's); pop %rbx; ret; int3
    code = bytes.fromhex("53 cc c3 cc 5b c3 cc")
    assert unexplained_breakpoints(disassemble("x86_64", START, code)) == [START + 1]


def test_a_table_names_the_code_before_it() -> None:
    table = START + 0x10000
    entries = [START + 9, START + 200]
    data = b"".join(struct.pack("<iiq", there - (table + 16 * n), 0, 0) for n, there in enumerate(entries))
    assert table_addresses(data, table, 16) == set(entries)
    with pytest.raises(FactError, match="does not consist"):
        table_addresses(data[:-1], table, 16)


def test_kprobes_of_all_sorts() -> None:
    found = parse_kprobes(
        b"ffffffffae4c5484  k  vfs_read+0x4    [FTRACE]\n"
        b"ffffffffae4c5489  k  vfs_read+0x9    [OPTIMIZED]\n"
        b"ffffffffc0001000  r  ext4_read+0x0  ext4 [DISABLED][FTRACE]\n"
        b"0000000000000000  k  0x0  [GONE]\n"
    )
    assert [(probe.address & 0xFFF, probe.place, set(probe.flags)) for probe in found] == [
        (0x484, "vfs_read+0x4", {"FTRACE"}), (0x489, "vfs_read+0x9", {"OPTIMIZED"}),
        (0, "ext4_read+0x0", {"DISABLED", "FTRACE"}), (0, "0x0", {"GONE"}),
    ]  # fmt: skip
    with pytest.raises(FactError, match="kprobes/list"):
        parse_kprobes(b"nonsense\n")
