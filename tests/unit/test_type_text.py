"""What lies behind members, types by name, and a type written out."""

from __future__ import annotations

import pytest

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.catalog import Catalog
from symbols.errors import BtfError, FactError
from symbols.kallsyms import parse
from symbols.type_access import Behind, Way, behind, meaning, spelled
from symbols.type_index import NamedType, TypeIndex
from symbols.type_text import to_json, to_text
from tests.btf_builder import BtfBuilder


class _Kernel:
    """A few types that use one another."""

    def __init__(self) -> None:
        b = BtfBuilder()
        self.builder = b
        self.integer, self.char = b.integer("int", 4, True), b.integer("char", 1, True)
        self.word = b.typedef("word_t", self.integer)
        self.node = b.struct("node", 16, [("next", b.pointer(b.next_id + 1), 0), ("value", self.word, 64)])
        self.nameless = b.struct("", 4, [("low", self.integer, 0), ("high", self.integer, 0)], Kind.UNION)
        self.callback = b.pointer(b.prototype(0, [("node", b.pointer(self.node))]))
        self.nodes = b.array(self.node, 3)
        self.table = b.struct(
            "table", 80,
            [("tag", self.char, 0), ("", self.nameless, 32), ("nodes", self.nodes, 64), ("done", self.callback, 512)],
        )  # fmt: skip
        self.table_t = b.typedef("table_t", self.table)
        self.anonymous_t = b.typedef("pair_t", b.struct("", 8, [("a", self.integer, 0), ("b", self.integer, 32)]))
        self.colour = b.enum("colour", [("RED", 0), ("GREEN", 255)])
        self.secret = b.pointer(b.forward("secret"))
        self.btf = Btf(b.build())

    def named(self, text: str) -> NamedType:
        (only,) = TypeIndex({None: self.btf}).find(text)
        return only


@pytest.fixture(scope="module")
def kernel() -> _Kernel:
    return _Kernel()


def test_what_lies_behind_a_member_and_how_c_writes_it() -> None:
    b = BtfBuilder()
    record = b.struct("s", 8, [])
    pointer = b.pointer(b.const(record))
    typedef = b.typedef("s_t", record)
    types = [
        (typedef, ".", Way.INSIDE, 1),
        (b.array(typedef, 3), "[0].", Way.INSIDE, 3),
        (b.array(b.array(record, 2), 3), "[0][0].", Way.INSIDE, 6),
        (pointer, "->", Way.POINTED, 1),
        (b.pointer(pointer), "[0]->", Way.POINTED, 1),
        (b.array(pointer, 4), "[0]->", Way.POINTED, 1),
        (b.pointer(b.array(record, 5)), "[0][0].", Way.POINTED, 1),
    ]
    btf = Btf(b.build())
    for type_id, notation, way, elements in types:
        assert behind(btf, type_id) == Behind(btf.type(record), way, notation, elements)


def test_behind_numbers_and_functions_lies_nothing(kernel: _Kernel) -> None:
    assert [behind(kernel.btf, type_id) for type_id in (0, kernel.word, kernel.callback)] == [None, None, None]
    declared = behind(kernel.btf, kernel.secret)
    assert isinstance(declared, Behind)
    assert declared.record.kind is Kind.FWD


def test_damage_behind_a_member_is_told() -> None:
    b = BtfBuilder()
    own = b.next_id
    b.typedef("snake", own)
    pointer = b.pointer(own + 1)
    btf = Btf(b.build())
    with pytest.raises(BtfError, match="defined by itself"):
        behind(btf, own)
    assert behind(btf, pointer) is None  # a pointer to itself leads nowhere
    assert (spelled(btf, 99, "x"), meaning(btf, own)) == ("? x", "")


def test_the_meaning_of_a_typedef(kernel: _Kernel) -> None:
    assert meaning(kernel.btf, kernel.word) == "int"
    assert meaning(kernel.btf, kernel.integer) == ""


def test_types_are_found_by_their_exact_names(kernel: _Kernel) -> None:
    index = TypeIndex({None: kernel.btf})
    # word_t is no struct, union or enum, and the nameless have no name to be found by.
    assert sorted(index.names) == ["colour", "node", "pair_t", "table", "table_t"]
    assert [found.text for found in index.find("table")] == ["struct table"]
    assert [found.text for found in index.find("struct table")] == ["struct table"]
    assert index.find("union table") == index.find("x:table") == index.find("") == []
    assert index.nearest("struct tabel")[0] == "table"
    assert index.find("table_t")[0].defined.id == kernel.table


def test_modules_add_their_own_types(kernel: _Kernel) -> None:
    b = BtfBuilder(base=kernel.builder)
    b.struct("node", 24, [("kernels", kernel.node, 0), ("more", kernel.integer, 128)])
    module = Btf(b.build(), kernel.btf)
    index = TypeIndex({None: kernel.btf, "ext4": module})
    assert [(found.module, found.record.size) for found in index.find("node")] == [(None, 16), ("ext4", 24)]
    (only,) = index.find("ext4:struct node")
    assert "struct node kernels;  //      0    16" in to_text(only)
    assert to_json(only)["module"] == "ext4"


def test_types_are_found_by_a_few_letters(kernel: _Kernel) -> None:
    index = TypeIndex({None: kernel.btf})
    found = index.search("tabel", 10)
    assert index.entry(found.rows[0]).text == "struct table"
    assert found.approximate
    only = index.search("typedef t", 10)
    assert {index.entry(row).text for row in only.rows} == {"table_t", "pair_t"}
    assert only.total == 2
    everything = index.search("", 3)
    assert (len(everything.rows), everything.total) == (3, 5)


def test_a_type_written_out(kernel: _Kernel) -> None:
    assert to_text(kernel.named("table")).splitlines() == [
        "struct table {                        // offset  size",
        "    char tag;                         //      0     1",
        "                                      //      1     3  hole of 3 bytes",
        "    union {                           //      4",
        "        int low;                      //      4     4",
        "        int high;                     //      4     4",
        "    };                                //      4     4",
        "    struct node nodes[3];             //      8    48",
        "                                      //     56     8  hole of 8 bytes",
        "                                      // --- cache line 1 begins at 64 ---",
        "    void (*done)(struct node *node);  //     64     8  aligned to 16 or more",
        "                                      //     72     8  padding of 8 bytes",
        "};",
        "// 80 bytes; 2 cache lines of 64; 4 members; 2 holes: 11 bytes; padding at the end: 8 bytes; alignment ≥ 16",
    ]


def test_typedefs_are_written_with_what_they_name(kernel: _Kernel) -> None:
    assert to_text(kernel.named("table_t")).startswith("typedef struct table table_t;\n\nstruct table {")
    text = to_text(kernel.named("pair_t"))
    assert text.startswith("typedef struct {  // offset  size")
    assert "} pair_t;" in text


def test_an_enum_written_out(kernel: _Kernel) -> None:
    assert to_text(kernel.named("enum colour")).splitlines() == [
        "enum colour {", "    RED   = 0,", "    GREEN = 255,  // 0xff", "};", "// 4 bytes; 2 values",
    ]  # fmt: skip
    assert to_json(kernel.named("colour")) == {
        "kind": "enum", "name": "colour", "typedef": False, "module": None, "size": 4,
        "enumerators": [{"name": "RED", "value": 0}, {"name": "GREEN", "value": 255}],
    }  # fmt: skip


def test_json_has_numbers_and_what_is_inside_the_nameless(kernel: _Kernel) -> None:
    table = to_json(kernel.named("table"))
    assert (table["kind"], table["size"], table["holes"]) == (
        "struct", 80, [{"bit_offset": 8, "bits": 24}, {"bit_offset": 448, "bits": 64}],
    )  # fmt: skip
    first, nameless, nodes, _ = table["members"]
    assert first == {
        "name": "tag", "type": "char", "offset": 0, "size": 1, "bit_offset": 0, "bit_size": None, "problem": None,
    }  # fmt: skip
    assert [member["offset"] for member in nameless["layout"]["members"]] == [4, 4]
    assert (nodes["type"], "layout" in nodes) == ("struct node [3]", False)


def test_the_catalog_tells_why_there_are_no_types() -> None:
    catalog = Catalog(parse(b"ffffffff81000000 T _text\n"), "x86_64")
    with pytest.raises(FactError, match="not been loaded yet"):
        catalog.types()
    catalog.add_btf(BtfError("BTF is damaged"))
    with pytest.raises(BtfError, match="damaged"):
        catalog.types()
    catalog.add_btf(_Kernel().btf)
    assert catalog.types() is catalog.types()
