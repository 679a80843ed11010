"""The catalog: rows, names, addresses, and what lies past the end of a function."""

from __future__ import annotations

import pytest

from symbols import kallsyms
from symbols.absent_names import error_on, several
from symbols.btf import Btf
from symbols.catalog import Catalog
from symbols.errors import BtfError, Category, FactError, KexploreError, UnknownSymbolError
from symbols.prototype import Trust
from symbols.tracing_lists import TracingLists, parse_modules
from symbols.verdict import VerdictKind
from tests.btf_builder import BtfBuilder

KALLSYMS = b"""\
ffffffff81000000 T _stext
ffffffff81000040 t __pfx_type_show
ffffffff81000050 t type_show
ffffffff81000100 t other
ffffffff81000180 t __pfx_type_show
ffffffff81000190 t type_show
ffffffff81000200 T vfs_read
ffffffff81000300 t vfs_read.cold
ffffffff81000310 t vfs_readv.isra.0
ffffffff81000380 t __SCT__tp_func_x
ffffffff812a5678 T handle_mm_fault
ffffffff812a5680 T __handle_mm_fault
ffffffff82000000 T _etext
ffffffff82000100 D init_task
ffffffffc0a00000 t type_show\t[ext4]
ffffffffc0a00100 t ext4_file_open\t[ext4]
ffffffffc0b00000 t bpf_prog_1_x\t[bpf]
"""


def catalog(data: bytes = KALLSYMS) -> Catalog:
    return Catalog(kallsyms.parse(data), "x86_64")


def test_rows_are_functions_once_for_each_name_and_module() -> None:
    c = catalog()
    assert c.names == [
        "type_show", "other", "vfs_read", "vfs_readv.isra.0", "handle_mm_fault", "__handle_mm_fault",
        "type_show", "ext4_file_open", "bpf_prog_1_x",
    ]  # fmt: skip
    assert [c.symbol(row).name for row in c.rows] == c.names
    assert c.symbol(c.rows[6]).module == "ext4"
    assert len(c) == 17


def test_find_is_exact() -> None:
    c = catalog()
    assert [symbol.address for symbol in c.find("type_show")] == [
        0xFFFFFFFF81000050, 0xFFFFFFFF81000190, 0xFFFFFFFFC0A00000,
    ]  # fmt: skip
    assert [symbol.module for symbol in c.find("ext4:type_show")] == ["ext4"]
    assert len(c.find("__pfx_type_show")) == 2, "hidden, but not gone"
    assert c.find("nomod:type_show") == []
    assert c.find("vfs_rea") == []


def test_the_kernel_counts_a_plain_name_in_modules_too() -> None:
    c = catalog()
    kernel, _, module = c.find("type_show")
    assert c.count(kernel) == 3
    assert c.count(module) == 1
    assert c.count(c.find("vfs_read")[0]) == 1


def test_instances_are_told_apart_by_their_neighbours() -> None:
    first, second, third = catalog().instances("type_show")
    assert (first.before, first.after) == ("_stext", "other")
    assert (second.before, second.after) == ("other", "vfs_read")
    assert (third.before, third.after) == (None, "ext4_file_open")


def test_lesson_offset_past_the_end_is_the_next_function() -> None:
    """handle_mm_fault + 8 is ``__handle_mm_fault``: 0xffffffff812a5678 and 0xffffffff812a5680."""
    c = catalog()
    landing = c.resolve("handle_mm_fault", 8)
    assert landing.hit is not None
    assert (landing.hit.name, landing.offset, landing.inside) == ("__handle_mm_fault", 0, False)
    assert c.resolve("handle_mm_fault", 7).inside
    assert c.resolve("vfs_read", 0x1F).hit == c.find("vfs_read")[0]
    past = c.resolve("vfs_read", 0x108)
    assert past.hit is not None
    assert (past.hit.name, past.offset, past.inside) == ("vfs_read.cold", 8, False)


def test_an_address_in_no_symbol() -> None:
    c = catalog()
    assert c.at(0xFFFFFFFF81000205) == (c.find("vfs_read")[0], 5)
    assert c.at(0x1000) is None
    assert c.at(0xFFFFFFFFC0A00100) == (c.find("ext4_file_open")[0], 0)
    assert c.at(0xFFFFFFFFC0A00104) is None, "how far the last function of a module reaches is not known"
    assert c.resolve("ext4_file_open", 4).inside is None
    assert c.resolve("vfs_read", -0x70000000000).inside is False


def test_names_that_do_not_resolve() -> None:
    c = catalog()
    with pytest.raises(UnknownSymbolError, match="vfs_raed") as unknown:
        c.resolve("vfs_raed", 0)
    assert unknown.value.nearest[0] == "vfs_read"
    with pytest.raises(KexploreError) as several:
        c.resolve("type_show", 0)
    assert "0xffffffff81000190" in several.value.hint


def test_variants_stand_behind_their_functions() -> None:
    lines = KALLSYMS.replace(b"t vfs_readv.isra.0", b"t vfs_read.isra.0").replace(
        b"T __handle_mm", b"t other.part.0\nX"
    )
    c = catalog(lines.replace(b"X_fault", b"ffffffff812a5690 t init_task.isra.0"))
    assert c.names[:5] == ["type_show", "other", "vfs_read", "vfs_read.isra.0", "handle_mm_fault"]
    assert "init_task.isra.0" in c.names, "what has its name is no function, and not listed"
    assert sorted(c.names) == sorted(c.symbol(row).name for row in c.rows)


def test_kin_of_a_name() -> None:
    c = catalog()
    names = [instance.symbol.name for instance in c.kin(c.find("vfs_read")[0])]
    assert names == ["vfs_read", "vfs_read.cold"]
    assert len(c.kin(c.find("type_show")[0])) == 3
    assert [symbol.name for symbol in c.variants("vfs_readv")] == ["vfs_readv.isra.0"]
    assert c.variants("ext4:vfs_readv") == []


def test_a_name_of_several_is_told_apart_by_neighbours_and_modules() -> None:
    message = several(catalog(), "type_show")
    assert "3 symbols" in message.message
    assert "0xffffffff81000190 (beside other and vfs_read)" in message.hint
    assert "0xffffffffc0a00000 (in ext4, beside ext4_file_open)" in message.hint


def test_what_only_types_know_was_inlined() -> None:
    builder = BtfBuilder()
    builder.function("gone", builder.integer("int", 4, signed=True), [])
    c = catalog()
    c.add_btf(Btf(builder.build()))
    assert c.verdict_on_name("gone").kind is VerdictKind.INLINED
    assert error_on(c, "gone").category is Category.KERNEL_CANNOT
    assert "'vfs_readv.*'" in error_on(c, "vfs_readv").hint
    assert "modprobe nomod" in error_on(c, "nomod:foo").hint


def test_hidden_addresses_leave_names_and_entry_probes() -> None:
    lines = (line.partition(" ")[2] for line in KALLSYMS.decode().splitlines())
    c = catalog("".join(f"{0:016x} {line}\n" for line in lines).encode())
    assert c.addresses_hidden
    assert c.names == catalog().names
    assert c.resolve("vfs_read", 0).inside
    assert c.resolve("vfs_read", 8).inside is None
    assert c.at(0) is None
    assert c.instances("type_show")[0].before is None


def test_facts_arrive_one_after_the_other() -> None:
    kernel = BtfBuilder()
    int_ = kernel.integer("int", 4, signed=True)
    kernel.function("vfs_read", int_, [("fd", int_)])
    kernel.function("ext4_file_open", int_, [])
    module = BtfBuilder(base=kernel)
    module.function("ext4_file_open", int_, [("mode", int_)])
    base = Btf(kernel.build())

    c = catalog()
    vfs_read, ext4_file_open = c.find("vfs_read")[0], c.find("ext4_file_open")[0]
    assert "not been read yet" in c.prototype(vfs_read).cause
    assert c.verdict(vfs_read).kind is VerdictKind.UNKNOWN
    c.add_btf(base)
    assert c.prototype(vfs_read).text == "int vfs_read(int fd)"
    assert c.prototype(ext4_file_open).trust is Trust.NONE, "the kernel's function of that name is another one"
    c.add_btf(Btf(module.build(), base), "ext4")
    assert c.prototype(ext4_file_open).text == "int ext4_file_open(int mode)"
    c.add_btf(BtfError("BTF breaks off"), "ext4")
    assert c.prototype(ext4_file_open).cause == "BTF breaks off"


def test_why_a_name_is_not_there() -> None:
    c = catalog()
    assert c.verdict_on_name("nomod:foo").kind is VerdictKind.MODULE_NOT_LOADED
    assert "never fire" in c.verdict_on_name("nomod:foo").cause
    assert "vfs_readv.isra.0" in c.verdict_on_name("vfs_readv").cause
    assert "vfs_read" in c.verdict_on_name("vfs_raed").cause
    assert c.verdict_on_name("ext4:nothing_like_it").kind is VerdictKind.UNKNOWN
    missing = FactError("not read")
    c.add_tracing_lists(TracingLists(missing, missing, parse_modules(b"fuse 1 0 - Live 0x0000000000000000\n")))
    assert c.verdict_on_name("fuse:foo").kind is VerdictKind.UNKNOWN, "loaded, though kallsyms shows nothing of it"
