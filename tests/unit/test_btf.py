"""The BTF reader over synthetic data: all kinds, both byte orders, split BTF, and damage."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import VOID_ID, Member
from symbols.btf_values import c_type, shape_of
from symbols.c_declaration import declaration
from symbols.errors import BtfError
from symbols.prototypes import from_btf
from tests.btf_builder import BtfBuilder

BYTE_ORDERS = ["little", "big"]


def every_kind(byte_order: str = "little") -> BtfBuilder:
    """One type of each of the 19 kinds, and some that refer to them."""
    b = BtfBuilder(byte_order)
    int_ = b.integer("int", 4, signed=True)  # 1
    char = b.integer("char", 1)
    pointer = b.pointer(char)
    array = b.array(int_, 7)
    structure = b.struct("pair", 16, [("number", int_, 0), ("text", pointer, 64)])  # 5
    b.struct("either", 8, [("number", int_, 0), ("text", pointer, 0)], kind=Kind.UNION)
    b.enum("colour", [("RED", 0), ("BLUE", 0xFFFFFFFF)])
    forward = b.forward("secret")
    typedef = b.typedef("number_t", int_)
    volatile = b.volatile(typedef)  # 10
    const = b.const(volatile)
    b.restrict(pointer)
    variable = b.record(Kind.VAR, "jiffies", value=const, tail=[1])
    b.record(Kind.DATASEC, ".data", 1, 8, [variable, 0, 8])
    b.floating("double", 8)  # 15
    b.record(Kind.DECL_TAG, "kfunc", value=structure, tail=[0xFFFFFFFF])
    b.tag("user", char)
    b.enum64("big", [("HUGE", 1 << 40), ("MINUS", -2)], signed=True)
    b.function("frobnicate", const, [("p", b.pointer(structure)), ("a", b.pointer(array)), ("f", b.pointer(forward))])
    return b


@pytest.mark.parametrize("byte_order", BYTE_ORDERS)
def test_every_kind_is_read(byte_order: str) -> None:
    btf = Btf(every_kind(byte_order).build())
    assert {btf.type(type_id).kind for type_id in btf.own_ids} == set(Kind)
    assert btf.members(btf.type(5)) == [Member("number", 1, 0, None), Member("text", 3, 64, None)]
    assert btf.array(btf.type(4)) == (1, 7)
    assert btf.enumerators(btf.type(7)) == [("RED", 0), ("BLUE", 0xFFFFFFFF)]
    assert btf.enumerators(btf.type(18)) == [("HUGE", 1 << 40), ("MINUS", -2)]
    assert (btf.integer(btf.type(1)).signed, btf.integer(btf.type(1)).bits) == (True, 32)
    assert btf.size_of(4) == 28
    assert btf.size_of(11) == 4, "through const, volatile and a typedef"
    assert btf.size_of(8) is None, "only declared"
    (function,) = btf.functions("frobnicate")
    assert declaration(btf, btf.type(function).target, "frobnicate") == (
        "const volatile number_t frobnicate(struct pair *p, int (*a)[7], struct secret *f)"
    )


def test_signed_enum_and_bit_fields() -> None:
    b = BtfBuilder()
    int_ = b.integer("int", 4, signed=True)
    enum = b.enum("state", [("BAD", -1), ("GOOD", 1)], signed=True)
    fields = b.bit_fields("flags", 4, [("low", int_, 0, 3), ("high", int_, 3, 29), ("whole", int_, 32, 0)])
    btf = Btf(b.build())
    assert btf.enumerators(btf.type(enum)) == [("BAD", -1), ("GOOD", 1)]
    assert btf.members(btf.type(fields)) == [
        Member("low", int_, 0, 3), Member("high", int_, 3, 29), Member("whole", int_, 32, None)
    ]  # fmt: skip


@pytest.mark.parametrize("byte_order", BYTE_ORDERS)
def test_a_module_continues_the_kernel(byte_order: str) -> None:
    kernel = BtfBuilder(byte_order)
    int_ = kernel.integer("int", 4, signed=True)
    kernel.function("open", int_, [])
    module = BtfBuilder(byte_order, base=kernel)
    own = module.struct("private", 4, [("value", int_, 0)])
    module.function("ext4_open", int_, [("p", module.pointer(own))])
    base = Btf(kernel.build())
    split = Btf(module.build(), base)
    (function,) = split.functions("ext4_open")
    assert declaration(split, split.type(function).target, "ext4_open") == "int ext4_open(struct private *p)"
    assert split.functions("open") == (), "another function may have the name of one of the kernel's"
    assert split.find(Kind.INT, "int") == int_
    assert split.find(Kind.STRUCT, "private") == own
    assert base.find(Kind.STRUCT, "private") is None
    with pytest.raises(BtfError):
        base.type(own)


def test_several_functions_of_one_name() -> None:
    b = BtfBuilder()
    int_ = b.integer("int", 4, signed=True)
    ids = [b.function("same", int_, []), b.function("same", VOID_ID, []), b.function("same", int_, [("x", int_)])]
    btf = Btf(b.build())
    assert list(btf.functions("same")) == ids
    assert btf.function_names == ["same"]


@pytest.mark.parametrize("kind", [0, 20, 31])
def test_an_unknown_kind_is_named_with_its_place(kind: int) -> None:
    b = BtfBuilder()
    b.integer("int", 4)
    b.record(kind)
    with pytest.raises(BtfError, match=rf"kind {kind} of type 2 at byte 16\b"):
        Btf(b.build())


def test_truncation_anywhere_is_an_error() -> None:
    whole = every_kind().build()
    for length in range(len(whole)):
        with pytest.raises(BtfError):
            Btf(whole[:length])


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (0, b"\x00\x00", "no BTF"),
        (2, b"\x02", "version 2"),
        (4, b"\x07\x00\x00\x00", "length of 7"),
        (8, b"\x02\x00\x00\x00", "whole words"),
        (16, b"\xff\xff\xff\xff", "truncated"),
        (20, b"\x04\x00\x00\x00", "zero byte"),
    ],
)
def test_a_bad_header_is_told(at: int, value: bytes, says: str) -> None:
    data = bytearray(every_kind().build())
    data[at : at + len(value)] = value
    with pytest.raises(BtfError, match=says):
        Btf(bytes(data))


def test_a_member_count_beyond_the_data() -> None:
    b = BtfBuilder()
    b.record(Kind.STRUCT, "huge", 0xFFFF, 4)
    with pytest.raises(BtfError, match="breaks off"):
        Btf(b.build())


def test_circles_end() -> None:
    b = BtfBuilder()
    loop = b.record(Kind.TYPEDEF, "loop", value=1)
    quicksand = b.const(loop)
    array = b.array(b.next_id, 3)
    through_pointers = b.pointer(b.next_id)
    own_member = b.struct("own", 8, [("own", b.next_id, 0)])
    function = b.prototype(b.next_id, [("x", b.next_id)])
    tree = b.prototype(VOID_ID, [(f"x{n}", b.next_id) for n in range(50)])
    btf = Btf(b.build())
    for type_id in (loop, quicksand, array):
        with pytest.raises(BtfError):
            btf.size_of(type_id)
    assert declaration(btf, quicksand, "x") == "const loop x", "a typedef is not looked into for its text"
    for type_id in (through_pointers, function, tree):
        with pytest.raises(BtfError):
            declaration(btf, type_id, "x")
    with pytest.raises(BtfError):
        shape_of(btf, own_member)


def test_references_to_nowhere() -> None:
    b = BtfBuilder()
    pointer = b.pointer(4000)
    named = b.record(Kind.TYPEDEF, value=pointer)
    data = bytearray(b.build())
    struct.pack_into("<I", data, 24 + 12, 100_000)
    btf = Btf(bytes(data))
    with pytest.raises(BtfError, match="no type 4000"):
        c_type(btf, pointer)
    with pytest.raises(BtfError, match="outside the strings"):
        btf.type(named)


def test_names_cannot_carry_control_characters() -> None:
    b = BtfBuilder()
    b.function("\x1b[2Jgone", VOID_ID, [])
    assert Btf(b.build()).function_names == ["?[2Jgone"]


def exercise(data: bytes) -> None:
    """Whatever the data is: answers, or a ``BtfError``."""
    try:
        btf = Btf(data)
    except BtfError:
        return
    for type_id in btf.own_ids:
        for question in (c_type, shape_of, declaration):
            try:
                question(btf, type_id)
            except BtfError:
                continue
    for name in btf.function_names:
        for architecture in ("x86_64", "aarch64"):
            assert from_btf(btf, architecture, name).name == name


@given(st.binary(max_size=300))
def test_garbage_gives_an_error(data: bytes) -> None:
    exercise(data)
    exercise(every_kind().build()[:24] + data)


@settings(max_examples=300)
@given(st.integers(0, 2**32), st.sampled_from(BYTE_ORDERS))
def test_mutated_data_gives_answers_or_errors(seed: int, byte_order: str) -> None:
    """Flip a few bytes of sound data: most of it stays readable, and all of it has to be survived."""
    dice = random.Random(seed)
    data = bytearray(every_kind(byte_order).build())
    for _ in range(dice.randint(1, 4)):
        data[dice.randrange(24, len(data))] = dice.choice([0, 1, 2, 5, 8, 13, 19, 0x80, 0xFF, dice.randrange(256)])
    exercise(bytes(data))
