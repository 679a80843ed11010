"""Verdicts: each sort of symbol by what kallsyms, the linker's marks and the tracing lists say."""

from __future__ import annotations

import pytest

from symbols import kallsyms
from symbols.catalog import Catalog
from symbols.errors import FactError
from symbols.tracing_lists import (
    TracingLists,
    parse_blacklist,
    parse_modules,
    parse_traceable,
    parse_traceable_addresses,
)
from symbols.verdict import Cost, Mechanism, Verdict, VerdictKind

KALLSYMS = b"""\
ffffffff81000000 T _stext
ffffffff81000010 T __entry_text_start
ffffffff81000020 T entry_SYSCALL_64
ffffffff81000100 T __entry_text_end
ffffffff81000200 t __pfx_vfs_read
ffffffff81000210 T vfs_read
ffffffff81000300 t vfs_read.cold
ffffffff81000310 t vfs_walk.isra.0
ffffffff81000380 t vfs_walk.part.0
ffffffff81000400 T native_write_msr
ffffffff81000480 t native_write_msr.cold
ffffffff81000500 t twice
ffffffff81000580 t twice
ffffffff81000600 t half
ffffffff81000680 t half
ffffffff81000700 T kprobe_int3_handler
ffffffff81000780 t kprobe_int3_handler.cold
ffffffff81000800 T __SCT__might_resched
ffffffff82000000 T _etext
ffffffff82000100 D init_task
ffffffff82000200 t stray
ffffffff83000000 T __init_begin
ffffffff83000010 t start_kernel
ffffffff83100000 T __init_end
ffffffffc0a00000 t ext4_file_open\t[ext4]
ffffffffc0a00100 t ext4_untouchable\t[ext4]
ffffffffc0b00000 t bpf_prog_1_x\t[bpf]
"""
TRACEABLE = parse_traceable(
    b"vfs_read\nvfs_walk.isra.0\ntwice\ntwice\nhalf\next4_file_open [ext4]\next4_untouchable [ext4]\n"
)
BLACKLIST = parse_blacklist(
    b"0xffffffff81000700-0xffffffff81000780\tkprobe_int3_handler\n"
    b"0xffffffffc0a00100-0xffffffffc0a00180\text4_untouchable [ext4]\n"
)
LISTS = TracingLists(TRACEABLE, BLACKLIST, parse_modules(b""), notrace_allowed=False)
UNREADABLE = FactError("available_filter_functions cannot be read: lockdown")


def verdict(name: str, lists: TracingLists | None = LISTS, kernel: bytes = KALLSYMS) -> Verdict:
    catalog = Catalog(kallsyms.parse(kernel), "x86_64")
    if lists is not None:
        catalog.add_tracing_lists(lists)
    return catalog.verdict(catalog.find(name)[0])


@pytest.mark.parametrize(
    ("name", "kind", "mechanism", "words"),
    [
        ("vfs_read", VerdictKind.PROBEABLE, Mechanism.FTRACE, "ftrace"),
        ("ext4_file_open", VerdictKind.PROBEABLE, Mechanism.FTRACE, "ftrace"),
        ("vfs_walk.isra.0", VerdictKind.PROBEABLE, Mechanism.FTRACE, "arguments may differ"),
        ("twice", VerdictKind.DUPLICATE, Mechanism.FTRACE, "2 symbols"),
        ("half", VerdictKind.DUPLICATE, None, "does not tell which"),
        ("vfs_read.cold", VerdictKind.COLD_PART, Mechanism.INT3, "unlikely branches of vfs_read"),
        ("native_write_msr", VerdictKind.NOTRACE, None, "CONFIG_KPROBE_EVENTS_ON_NOTRACE"),
        ("native_write_msr.cold", VerdictKind.NOTRACE, None, "CONFIG_KPROBE_EVENTS_ON_NOTRACE"),
        ("vfs_walk.part.0", VerdictKind.NOTRACE, None, "CONFIG_KPROBE_EVENTS_ON_NOTRACE"),
        ("kprobe_int3_handler", VerdictKind.BLACKLISTED, None, "0xffffffff81000700-0xffffffff81000780"),
        ("kprobe_int3_handler.cold", VerdictKind.BLACKLISTED, None, "kprobe_int3_handler, which it belongs to"),
        ("ext4_untouchable", VerdictKind.BLACKLISTED, None, "0xffffffffc0a00100"),
        ("entry_SYSCALL_64", VerdictKind.BLACKLISTED, None, "entry text"),
        ("start_kernel", VerdictKind.DISCARDED_INIT, None, "freed"),
        ("stray", VerdictKind.NOT_FUNCTION, None, "outside the kernel's text"),
        ("init_task", VerdictKind.NOT_FUNCTION, None, "variable"),
        ("_etext", VerdictKind.NOT_FUNCTION, None, "mark"),
        ("__pfx_vfs_read", VerdictKind.PADDING, None, "vfs_read"),
        ("__SCT__might_resched", VerdictKind.STUB, None, "stub"),
        ("bpf_prog_1_x", VerdictKind.STUB, None, "run time"),
    ],
)
def test_verdict(name: str, kind: VerdictKind, mechanism: Mechanism | None, words: str) -> None:
    found = verdict(name)
    assert (found.kind, found.mechanism) == (kind, mechanism)
    assert words in found.cause
    assert "\n" not in found.cause


def test_a_kernel_that_takes_probes_on_notrace_functions() -> None:
    lists = TracingLists(TRACEABLE, BLACKLIST, {}, notrace_allowed=True, no_jumps="it was switched off")
    found = verdict("native_write_msr", lists)
    assert (found.kind, found.mechanism, found.cost) == (VerdictKind.PROBEABLE, Mechanism.INT3, Cost.DEAR)
    assert "by a breakpoint: it was switched off" in found.cause
    assert verdict("native_write_msr.cold", lists).kind is VerdictKind.COLD_PART


def test_a_breakpoint_becomes_a_jump_where_there_is_room_for_one() -> None:
    lists = TracingLists(TRACEABLE, BLACKLIST, {}, notrace_allowed=True, no_jumps="")
    found = verdict("native_write_msr", lists)
    assert (found.kind, found.mechanism, found.cost) == (VerdictKind.PROBEABLE, Mechanism.JUMP, Cost.CHEAP)
    assert verdict("vfs_read", lists).cost is Cost.CHEAPEST
    short = KALLSYMS.replace(b"ffffffff81000480 t native", b"ffffffff81000404 t native")
    assert verdict("native_write_msr", lists, short).mechanism is Mechanism.INT3


def with_sites(*lines: str) -> TracingLists:
    traceable = parse_traceable_addresses("".join(f"{line}\n" for line in lines).encode())
    return TracingLists(traceable, BLACKLIST, {}, notrace_allowed=False, no_jumps="")


def test_the_addresses_of_call_sites_tell_which_of_one_name_can_be_probed() -> None:
    lists = with_sites("ffffffff81000684 half")
    catalog = Catalog(kallsyms.parse(KALLSYMS), "x86_64")
    catalog.add_tracing_lists(lists)
    first, second = (catalog.verdict(symbol) for symbol in catalog.find("half"))
    assert (first.kind, first.can_arm) == (VerdictKind.NOTRACE, False)
    assert (second.kind, second.mechanism) == (VerdictKind.DUPLICATE, Mechanism.FTRACE)


def test_a_call_site_behind_the_entry_lets_the_kernel_take_a_breakpoint_there() -> None:
    found = verdict("native_write_msr", with_sites("ffffffff81000440 native_write_msr"))
    assert (found.kind, found.mechanism) == (VerdictKind.PROBEABLE, Mechanism.JUMP)
    assert verdict("vfs_walk.part.0", with_sites("ffffffff81000310 vfs_walk.isra.0")).kind is VerdictKind.NOTRACE


def test_a_function_that_the_linker_dropped_still_has_its_call_site() -> None:
    lists = with_sites("ffffffff81000410 __ftrace_invalid_address___16")
    assert verdict("native_write_msr", lists).kind is VerdictKind.PROBEABLE


def test_a_kernel_whose_options_are_not_known() -> None:
    found = verdict("native_write_msr", TracingLists(TRACEABLE, BLACKLIST, {}))
    assert found.kind is VerdictKind.NOTRACE
    assert "not known" in found.cause


def test_unreadable_lists_leave_it_open() -> None:
    found = verdict("vfs_read", TracingLists(UNREADABLE, UNREADABLE, UNREADABLE))
    assert (found.kind, found.can_arm) == (VerdictKind.UNKNOWN, True)
    assert "lockdown" in found.cause
    assert verdict("vfs_read", None).kind is VerdictKind.UNKNOWN
    assert verdict("entry_SYSCALL_64", None).kind is VerdictKind.BLACKLISTED, "the linker's marks tell it without lists"
    without_blacklist = verdict("vfs_read", TracingLists(TRACEABLE, UNREADABLE, {}))
    assert without_blacklist.kind is VerdictKind.PROBEABLE
    assert "blacklist could not be read" in without_blacklist.cause


def test_hidden_addresses() -> None:
    lines = (line.partition(" ")[2] for line in KALLSYMS.decode().splitlines())
    hidden = "".join(f"{0:016x} {line}\n" for line in lines).encode()
    blacklist = parse_blacklist(b"0x0000000000000000-0x0000000000000000\tkprobe_int3_handler\n")
    lists = TracingLists(TRACEABLE, blacklist, {}, notrace_allowed=False)
    assert verdict("vfs_read", lists, hidden).kind is VerdictKind.PROBEABLE
    assert verdict("kprobe_int3_handler", lists, hidden).kind is VerdictKind.BLACKLISTED
    duplicate = verdict("twice", lists, hidden)
    assert (duplicate.kind, duplicate.mechanism) == (VerdictKind.DUPLICATE, None)
    assert "hidden" in duplicate.cause
