"""Lists of the kernel, damaged in any way: an answer or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given

from explorer.agent.event_format import EventFormat, HitDecoder, ValueField
from symbols import kallsyms, kernel_config, system_calls, tracing_lists
from symbols.catalog import Catalog
from tests.fuzz.bounds import survived
from tests.fuzz.mutation import mutated
from tests.unit.test_ring_buffer import RECORDED_FORMAT


def live_symbols() -> list[bytes]:
    """Lines of this kernel's own list, from places far apart."""
    lines = Path("/proc/kallsyms").read_bytes().splitlines(keepends=True)
    return [b"".join(lines[start : start + 60]) for start in range(0, len(lines), len(lines) // 8)]


_MODULES = b"""\
ffffffffc0200000 t ext4_file_open\t[ext4]
ffffffffc0200100 t ext4_read\t[ext4]
ffffffffc0100000 t helper.isra.0\t[nf_tables]
ffffffffc0300000 t bpf_prog_6deef7357e7b4530_sd_fw_egress\t[bpf]
"""
KALLSYMS = [*live_symbols(), live_symbols()[0] + _MODULES, b"0000000000000000 A fixed_percpu_data\n" * 5 + _MODULES]
TRACEABLE = [b"vfs_read\nvfs_write\next4_read [ext4]\n__ftrace_invalid_address___64\nvfs_read\n" * 10]
ADDRESSES = [b"ffffffff81000000 vfs_read\nffffffff81000100 vfs_write\nffffffffc0200100 ext4_read [ext4]\n" * 10]
ENABLED = [
    b"vfs_read (1) R   \tops: kprobe_ftrace_ops+0x0/0x200\nvfs_write (2) R I   \n\tdirect-->bpf_trampoline_1+0x0/0x2\n"
    b"ext4_read [ext4] (1)     D M\ttramp: ftrace_regs_caller+0x0/0x65 (call_direct_funcs+0x0/0x20)\n"
]
BLACKLIST = [b"0xffffffff81000000-0xffffffff81000010\tdo_int3\n0xffffffffc0200000-0xffffffffc0200010\tx [ext4]\n" * 5]
MODULES = [
    b"ext4 1032192 1 - Live 0xffffffffc0200000\nmbcache 16384 1 ext4, Live 0xffffffffc0100000\n"
    b"out_of_tree 16384 0 [permanent], Loading 0x0000000000000000 (OE+)\n"
]
CONFIG = [b'# Linux\nCONFIG_KPROBES=y\n# CONFIG_NO is not set\nCONFIG_NAME="a b"\nCONFIG_HZ=250\n']
FORMATS = [
    b"name: sys_enter_openat\nID: 638\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n"
    b"\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\tfield:int dfd;\toffset:16;\tsize:8;\tsigned:0;\n"
    b"\tfield:const char * filename;\toffset:24;\tsize:8;\tsigned:0;\n\n"
    b'print fmt: "dfd: 0x%08lx", ((unsigned long)(REC->dfd))\n'
]
EVENT = [RECORDED_FORMAT.encode()]


@given(mutated(KALLSYMS))
def test_symbols(data: bytes) -> None:
    def ask(data: bytes) -> None:
        table = kallsyms.parse(data)
        for row in (0, len(table) // 2, len(table) - 1):
            symbol = table.symbol(row)
            table.neighbours(row)
            table.at(symbol.address or 0)

    survived(ask, data)


@given(mutated(KALLSYMS))
def test_the_beginning_of_the_symbols(data: bytes) -> None:
    survived(lambda data: kallsyms.parse(data, partial=True), data)


@given(mutated(KALLSYMS))
def test_a_catalog_of_damaged_symbols_has_verdicts(data: bytes) -> None:
    def ask(data: bytes) -> None:
        catalog = Catalog(kallsyms.parse(data), "x86_64")
        for row in range(0, len(catalog), max(1, len(catalog) // 10)):
            symbol = catalog.symbol(row)
            catalog.verdict(symbol)
            catalog.instances(symbol.qualified_name)

    survived(ask, data)


def _config(data: bytes) -> object:
    return [kernel_config.option(data, name) for name in ("KPROBES", "CONFIG_NAME", "NO")]


def _formats(data: bytes) -> object:
    return [system_calls.declaration(name, found) for name, found in system_calls.parse_formats(data).items()]


def _blacklist(data: bytes) -> object:
    blacklist = tracing_lists.parse_blacklist(data)
    return blacklist.find(0xFFFFFFFF81000005, "do_int3", None), blacklist.find(None, "x", "ext4")


def _event(data: bytes) -> object:
    found = EventFormat.parse(data.decode("utf-8", "surrogateescape"))
    return HitDecoder(found, [ValueField("v1", None), ValueField("v3", "v5")], ["v2"])


def _traceable(data: bytes) -> object:
    return tracing_lists.parse_traceable(data).count("vfs_read", None)


def _addresses(data: bytes) -> object:
    found = tracing_lists.parse_traceable_addresses(data)
    return found.sites is not None and found.site_in(0xFFFFFFFF81000000, 0xFFFFFFFF81000100)


@given(mutated(TRACEABLE))
def test_traceable_functions(data: bytes) -> None:
    survived(_traceable, data)


@given(mutated(ADDRESSES))
def test_traceable_addresses(data: bytes) -> None:
    survived(_addresses, data)


@given(mutated(ENABLED))
def test_enabled_functions(data: bytes) -> None:
    survived(tracing_lists.parse_enabled, data)


@given(mutated(BLACKLIST))
def test_blacklist(data: bytes) -> None:
    survived(_blacklist, data)


@given(mutated(MODULES))
def test_modules(data: bytes) -> None:
    survived(tracing_lists.parse_modules, data)


@given(mutated(CONFIG))
def test_configuration(data: bytes) -> None:
    survived(_config, data)


@given(mutated(FORMATS))
def test_formats_of_system_calls(data: bytes) -> None:
    survived(_formats, data)


@given(mutated(EVENT))
def test_formats_of_events(data: bytes) -> None:
    survived(_event, data)


SLOW_LINES: list[tuple[str, Callable[[bytes], object], bytes]] = [
    ("enabled", tracing_lists.parse_enabled, b"f (1)" + b" " * 60_000 + b"!\n"),
    ("enabled flags", tracing_lists.parse_enabled, b"f (1)" + b" A" * 30_000 + b"!\n"),
    ("modules", tracing_lists.parse_modules, b"a 1 - a a 0x0 (" * 4000 + b"\n"),
    ("traceable", _traceable, b"f [" * 20_000 + b"\n"),
    ("blacklist", _blacklist, b"0x0-0x0\t" + b"a [" * 20_000 + b"\n"),
    ("kallsyms", kallsyms.parse, b"0000000000000000 t a\t" + b"[" * 60_000 + b"\n"),
    ("system call field", _formats, b"name: sys_enter_a\n\tfield:" + b"a" * 60_000 + b"\n"),
    ("event field", _event, b"ID: 1\n\tfield:" + b"a" * 60_000 + b"!;\toffset:0;\tsize:4;\n"),
]


@pytest.mark.parametrize(("parse", "line"), [row[1:] for row in SLOW_LINES], ids=[row[0] for row in SLOW_LINES])
def test_long_lines_take_time_in_proportion(parse: Callable[[bytes], object], line: bytes) -> None:
    survived(parse, line)


def test_all_symbols_of_a_kernel_take_less_than_four_times_their_size() -> None:
    data = Path("/proc/kallsyms").read_bytes()
    assert survived(kallsyms.parse, data, floor=0) is not None
