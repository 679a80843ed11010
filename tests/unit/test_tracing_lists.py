"""The kernel's lists: what they hold, and what damage does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbols import kernel_config
from symbols.errors import FactError
from symbols.tracing_lists import (
    BlacklistedRange,
    EnabledFunction,
    Module,
    parse_blacklist,
    parse_enabled,
    parse_modules,
    parse_traceable,
    parse_traceable_addresses,
)

TRACEABLE = b"""\
__ftrace_invalid_address___64
vfs_read
type_show
type_show
type_show [ext4]
ext4_file_open [ext4]
"""
TRACEABLE_ADDRESSES = b"""\
ffffffff81000104 __ftrace_invalid_address___64
ffffffff81000304 type_show
ffffffff81000204 type_show
ffffffffc0a00004 ext4_file_open [ext4]
"""
ENABLED = b"""\
vfs_read (1)            \ttramp: 0xffffffffc0203000 (kprobe_ftrace_handler+0x0/0x1c0) ->ftrace_ops_assist_func+0x0/0x100
kernel_clone (2) R I   M \ttramp: 0xffffffffc0205000 (klp_ftrace_handler+0x0/0x1c0) ->klp_ftrace_handler+0x0/0x1c0
ext4_file_open [ext4] (1) R   D   \ttramp: 0xffffffffc0207000 (call_direct_funcs+0x0/0x20)
\tdirect-->bpf_trampoline_6442536467+0x0/0x1000
do_exit (1)           O \tops: 0xffffffff82000000 (bpf_ops+0x0/0x10)
"""
BLACKLIST = b"""\
0xffffffff81000010-0xffffffff81001a87\tasm_exc_divide_error
0xffffffff82000000-0xffffffff82000100\tinner
0xffffffff82000020-0xffffffff82000030\tinside_inner
0xffffffffc0a00000-0xffffffffc0a00010\text4_untouchable [ext4]
"""
MODULES = b"""\
ext4 1015808 1 - Live 0xffffffffc0a00000
jbd2 192512 1 ext4, Live 0x0000000000000000 (OE)
crc16 16384 - - Loading 0xffffffffc0900000
"""


def test_traceable_functions_are_counted_by_name_and_module() -> None:
    functions = parse_traceable(TRACEABLE)
    assert functions.count("vfs_read", None) == 1
    assert functions.count("type_show", None) == 2
    assert functions.count("type_show", "ext4") == 1
    assert functions.count("ext4_file_open", None) == 0
    assert len(functions) == 5, "an address that the linker dropped is no function"


def test_call_sites_by_address() -> None:
    functions = parse_traceable_addresses(TRACEABLE_ADDRESSES)
    assert (functions.count("type_show", None), functions.count("ext4_file_open", "ext4"), len(functions)) == (2, 1, 3)
    assert functions.site_in(0xFFFFFFFF81000200, 0xFFFFFFFF81000300) == 0xFFFFFFFF81000204
    assert functions.site_in(0xFFFFFFFF81000205, 0xFFFFFFFF81000304) is None
    assert functions.site_in(0xFFFFFFFF81000100, 0xFFFFFFFF81000200) is not None, "dropped, but the kernel has it"
    assert parse_traceable(TRACEABLE).sites is None
    assert parse_traceable_addresses(b"0 vfs_read\n").sites is None, "hidden"


def test_enabled_functions() -> None:
    assert parse_enabled(ENABLED) == [
        EnabledFunction("vfs_read", None, 1, frozenset()),
        EnabledFunction("kernel_clone", None, 2, frozenset("RIM")),
        EnabledFunction("ext4_file_open", "ext4", 1, frozenset("RD")),
        EnabledFunction("do_exit", None, 1, frozenset("O")),
    ]


def test_blacklist_by_address() -> None:
    blacklist = parse_blacklist(BLACKLIST)
    entry = blacklist.find(0xFFFFFFFF81000500, "whatever", None)
    assert entry == BlacklistedRange(0xFFFFFFFF81000010, 0xFFFFFFFF81001A87, "asm_exc_divide_error", None)
    assert blacklist.find(0xFFFFFFFF81001A87, "next", None) is None, "the end does not belong to it"
    outer = blacklist.find(0xFFFFFFFF82000040, "whatever", None)
    assert outer is not None
    assert outer.name == "inner", "a smaller range inside does not hide it"
    assert blacklist.find(0xFFFFFFFFC0A00008, "x", "ext4") is not None
    assert blacklist.find(0x1000, "x", None) is None


def test_blacklist_by_name_when_addresses_are_hidden() -> None:
    blacklist = parse_blacklist(b"0x0000000000000000-0x0000000000000000\tdo_int3\n")
    assert blacklist.find(None, "do_int3", None) is not None
    assert blacklist.find(0xFFFFFFFF81000010, "do_int3", None) is not None, "our own addresses may be shown"
    assert blacklist.find(None, "do_int4", None) is None


def test_modules() -> None:
    modules = parse_modules(MODULES)
    assert modules["ext4"] == Module("ext4", 1015808, "Live", 0xFFFFFFFFC0A00000)
    assert modules["jbd2"].address is None
    assert modules["crc16"].state == "Loading"


PARSERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (parse_traceable, TRACEABLE), (parse_traceable_addresses, TRACEABLE_ADDRESSES),
    (parse_enabled, ENABLED), (parse_blacklist, BLACKLIST), (parse_modules, MODULES),
]  # fmt: skip


@pytest.mark.parametrize(("parse", "good"), PARSERS)
def test_empty_lists_are_lists(parse: Callable[[bytes], object], good: bytes) -> None:
    assert not parse(b"") or len(parse(b"")) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(("parse", "good"), PARSERS)
@pytest.mark.parametrize("bad", [b"not a line of it\n", b"vfs_read\x1b[2J\n", b"\xff\xfe\n", b"breaks_off"])
def test_damage_is_an_error(parse: Callable[[bytes], object], good: bytes, bad: bytes) -> None:
    with pytest.raises(FactError):
        parse(good + bad)


@given(st.binary() | st.text("abc_019xf[]()-\t \n").map(str.encode))
def test_garbage_gives_a_list_or_an_error(data: bytes) -> None:
    for parse, good in PARSERS:
        for text in (data, good + data):
            try:
                parse(text)
            except FactError:
                continue


def test_kernel_config() -> None:
    config = b'CONFIG_KPROBES=y\n# CONFIG_KPROBE_EVENTS_ON_NOTRACE is not set\nCONFIG_NAME="x y"\nCONFIG_EXT4_FS=m\n'
    assert kernel_config.option(config, "KPROBES") == "y"
    assert kernel_config.option(config, "CONFIG_KPROBES") == "y"
    assert kernel_config.option(config, "KPROBE_EVENTS_ON_NOTRACE") == "n"
    assert kernel_config.option(config, "NOT_THERE") == "n"
    assert kernel_config.option(config, "NAME") == "x y"
    assert kernel_config.option(config, "EXT4_FS") == "m"
    assert kernel_config.option(b"<html>", "KPROBES") is None
