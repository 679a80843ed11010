"""A type as a tree: paths in C notation, opening, following; and data that contains itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.c_types import CType, TypeKind
from symbols.errors import BtfError
from symbols.location import Unknown
from symbols.prototype import Parameter, Prototype, Source, Trust
from symbols.prototype_types import types_of
from symbols.type_index import NamedType, TypeIndex
from symbols.type_text import to_json, to_text
from symbols.type_tree import Node, TypeTree, target
from tests.btf_builder import BtfBuilder


def _tree(builder: BtfBuilder, type_id: int, path: str = "x", joint: str = "->") -> TypeTree:
    btf = Btf(builder.build())
    return TypeTree(NamedType(btf, None, btf.type(type_id)), path, joint)


def _at(tree: TypeTree, path: str) -> Node:
    return next(node for node in tree.rows if node.path == path)


def test_paths_go_through_nameless_members_arrays_and_pointers() -> None:
    b = BtfBuilder()
    integer = b.integer("int", 4, True)
    leaf = b.struct("leaf", 4, [("value", integer, 0)])
    nameless = b.struct("", 8, [("leaves", b.array(leaf, 2), 0), ("word", integer, 0)], Kind.UNION)
    links = b.array(b.pointer(leaf), 2)
    root = b.struct("root", 32, [("", nameless, 0), ("links", links, 64), ("more", b.pointer(b.pointer(leaf)), 192)])
    tree = _tree(b, root)
    assert [node.path for node in tree.rows] == ["x", "x->leaves", "x->word", "x->links", "x->more"]
    tree.toggle(_at(tree, "x->leaves"))
    assert _at(tree, "x->leaves[0].value").bit_offset == 0
    for member, called in (("x->links", "x->links[0]"), ("x->more", "x->more[0]")):
        found = target(tree, _at(tree, member))
        assert found is not None
        assert (found[0].text, *found[1:]) == ("struct leaf", called, "->")
    assert target(tree, _at(tree, "x->word")) is None


def test_closing_all_leaves_the_nameless_open() -> None:
    b = BtfBuilder()
    integer = b.integer("int", 4, True)
    inner = b.struct("inner", 4, [("a", integer, 0)])
    nameless = b.struct("", 4, [("b", integer, 0)])
    tree = _tree(b, b.struct("outer", 8, [("named", inner, 0), ("", nameless, 32)]))
    before = [node.path for node in tree.rows]
    tree.open_all()
    assert [node.path for node in tree.rows] == ["x->named", "x->named.a", "x", "x->b"]
    tree.close_all()
    assert [node.path for node in tree.rows] == before == ["x->named", "x", "x->b"]


def test_nameless_members_without_end_are_neither_shown_nor_written_without_end() -> None:
    b = BtfBuilder()
    own = b.next_id
    b.struct("", 8, [("", own, 0)] * 100)
    typedef = b.typedef("hydra", own)
    tree = _tree(b, typedef)
    assert len(tree.rows) < 10_000
    for write in (to_text, to_json):
        with pytest.raises(BtfError, match="too entangled"):
            write(tree.named)


def test_a_struct_inside_itself_opens_step_by_step() -> None:
    b = BtfBuilder()
    own = b.next_id
    b.struct("", 8, [("", own, 0), ("", own, 32)])
    tree = _tree(b, own)
    assert len(tree.rows) < 1 << 12  # nameless ones open by themselves, but not for ever
    snake = b.next_id
    b.struct("snake", 8, [("head", snake, 0)])
    tree = _tree(b, snake)
    for step in range(1, 50):
        tree.open_all()
        assert len(tree.rows) == step + 1


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_data_makes_a_tree_fail(data: st.DataObject) -> None:
    b = BtfBuilder()
    for _ in range(data.draw(st.integers(1, 8))):
        kind = data.draw(st.sampled_from(["struct", "union", "array", "pointer", "enum"]))
        name = data.draw(st.sampled_from(["", "s"]))
        to = st.integers(0, 10)
        if kind == "array":
            b.array(data.draw(to), data.draw(st.sampled_from([0, 2, 0xFFFFFFFF])))
        elif kind == "pointer":
            b.pointer(data.draw(to))
        elif kind == "enum":
            b.enum(name, [("A", 1)])
        else:
            rows = data.draw(st.lists(st.tuples(st.sampled_from(["", "m"]), to, st.integers(0, 200)), max_size=3))
            b.struct(name, data.draw(st.sampled_from([0, 8, 64])), rows, Kind.UNION if kind == "union" else Kind.STRUCT)
    btf = Btf(b.build())
    for type_id in btf.own_ids:
        record = btf.type(type_id)
        if record.kind in (Kind.STRUCT, Kind.UNION, Kind.ENUM):
            tree = TypeTree(NamedType(btf, None, record), "x", ".")
            tree.open_all()
            assert all(node.path == "" or node.path[0] in "xA" for node in tree.rows)
            for node in tree.rows:
                target(tree, node)


def _parameter(name: str, text: str) -> Parameter:
    return Parameter(name, CType(text, TypeKind.UNKNOWN, None), Unknown(""))


def test_the_types_of_a_prototype() -> None:
    b = BtfBuilder()
    file = b.struct("file", 8, [])
    b.typedef("file_t", file)
    index = TypeIndex({None: Btf(b.build())})
    parameters = (
        _parameter("dfd", "int"), _parameter("file", "const struct file __user *"), _parameter("", "struct file **"),
        _parameter("by_value", "file_t"), _parameter("call", "void (*)(struct file *)"),
        _parameter("other", "struct nothing *"),
    )  # fmt: skip
    returns = CType("struct file *", TypeKind.POINTER, 8)
    prototype = Prototype("f", "", Source.BTF, Trust.EXACT, "", returns, None, parameters)
    found = [(each.called, each.joint, each.named.text) for each in types_of(prototype, index, None)]
    assert found == [
        ("file", "->", "struct file"), ("arg3[0]", "->", "struct file"), ("by_value", ".", "file_t"),
        ("return", "->", "struct file"),
    ]  # fmt: skip


def test_a_module_s_own_type_goes_before_the_kernel_s() -> None:
    b = BtfBuilder()
    b.struct("state", 8, [])
    modules = {}
    for name in ("one", "two"):
        own = BtfBuilder(base=b)
        own.struct("state", 16, [])
        modules[name] = own
    base = Btf(b.build())
    index = TypeIndex({None: base, **{name: Btf(own.build(), base) for name, own in modules.items()}})
    nothing = CType("void", TypeKind.VOID, 0)
    prototype = Prototype("f", "", Source.BTF, Trust.EXACT, "", nothing, None, (_parameter("s", "struct state *"),))
    assert [found.named.module for found in types_of(prototype, index, "two")] == ["two"]
    assert [found.named.module for found in types_of(prototype, index, None)] == [None]
