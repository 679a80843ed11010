"""Layouts of structs that were written for the purpose: holes, bit-fields, packing, and data that lies."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.errors import BtfError
from symbols.type_layout import Field, Gap, Layout, bits_in_words, layout
from tests.btf_builder import BtfBuilder


def _parts(whole: Layout) -> list[tuple[str, int, int | None]]:
    return [
        (part.name if isinstance(part, Field) else part.words(), part.bit_offset, part.bits) for part in whole.parts
    ]


def test_holes_and_padding_stand_where_they_are() -> None:
    b = BtfBuilder()
    char, long = b.integer("char", 1, True), b.integer("long", 8, True)
    outer = b.struct("outer", 32, [("a", char, 0), ("b", long, 64), ("c", char, 128)])
    whole = layout(Btf(b.build()), outer)
    assert _parts(whole) == [
        ("a", 0, 8), ("hole of 7 bytes", 8, 56), ("b", 64, 64), ("c", 128, 8), ("padding of 15 bytes", 136, 120),
    ]  # fmt: skip
    assert whole.padding == 120
    assert [hole.bits for hole in whole.holes] == [56]
    # A size of 32 where 24 would do: aligned by attribute, to 16 or 32.
    assert (whole.alignment, whole.packed) == (16, "")
    assert whole.summary() == [
        "32 bytes",
        "3 members",
        "1 hole: 7 bytes",
        "padding at the end: 15 bytes",
        "alignment ≥ 16",
    ]


def test_bit_fields_have_an_offset_and_a_width_in_bits() -> None:
    b = BtfBuilder()
    unsigned = b.integer("unsigned int", 4)
    record = b.bit_fields("flags", 8, [("a", unsigned, 0, 3), ("b", unsigned, 3, 4), ("c", unsigned, 32, 0)])
    whole = layout(Btf(b.build()), record)
    assert _parts(whole) == [("a", 0, 3), ("b", 3, 4), ("hole of 3 bytes 1 bit", 7, 25), ("c", 32, 32)]
    first, _, third = whole.fields
    assert (first.bit_size, first.size, third.bit_size, third.size) == (3, None, None, 4)


def test_unions_overlap_without_a_problem() -> None:
    b = BtfBuilder()
    char, integer = b.integer("char", 1, True), b.integer("int", 4, True)
    union = b.struct("either", 8, [("c", char, 0), ("i", integer, 0), ("s", b.array(char, 5), 0)], Kind.UNION)
    whole = layout(Btf(b.build()), union)
    assert [field.problem for field in whole.fields] == ["", "", ""]
    assert _parts(whole)[-1] == ("padding of 3 bytes", 40, 24)


def test_an_array_of_no_elements_takes_no_room() -> None:
    b = BtfBuilder()
    integer, char = b.integer("int", 4, True), b.integer("char", 1, True)
    record = b.struct("tail", 4, [("length", integer, 0), ("data", b.array(char, 0), 32)])
    whole = layout(Btf(b.build()), record)
    assert [(field.name, field.size) for field in whole.fields] == [("length", 4), ("data", 0)]
    assert whole.padding == 0


@pytest.mark.parametrize(
    ("size", "offset", "proof"),
    [(5, 8, "b lies at 1, no multiple of 4"), (9, 32, "its size is no multiple of 4"), (8, 32, "")],
)
def test_packing_is_told_where_something_proves_it(size: int, offset: int, proof: str) -> None:
    b = BtfBuilder()
    char, integer = b.integer("char", 1, True), b.integer("int", 4, True)
    record = b.struct("maybe", size, [("a", char, 0), ("b", integer, offset)])
    assert layout(Btf(b.build()), record).packed == proof


def test_a_bit_field_across_two_units_proves_packing() -> None:
    b = BtfBuilder()
    record = b.bit_fields("crooked", 8, [("a", b.integer("unsigned int", 4), 30, 4)])
    assert layout(Btf(b.build()), record).packed == "a lies across two of its units"


def test_packed_structs_inside_ask_for_no_alignment() -> None:
    b = BtfBuilder()
    char, integer = b.integer("char", 1, True), b.integer("int", 4, True)
    inner = b.struct("inner", 5, [("a", char, 0), ("b", integer, 8)])
    outer = b.struct("outer", 11, [("c", char, 0), ("two", b.array(inner, 2), 8)])
    whole = layout(Btf(b.build()), outer)
    assert (whole.packed, whole.alignment, whole.padding) == ("", 1, 0)


def test_a_place_further_away_than_needed_shows_an_alignment() -> None:
    b = BtfBuilder()
    integer = b.integer("int", 4, True)
    record = b.struct("spread", 128, [("a", integer, 0), ("b", integer, 512)])
    whole = layout(Btf(b.build()), record)
    assert [field.forced for field in whole.fields] == [0, 64]
    assert whole.alignment == 64


def test_what_cannot_be_is_marked() -> None:
    b = BtfBuilder()
    integer = b.integer("int", 4, True)
    unknown = b.forward("secret")
    record = b.struct(
        "odd", 16, [("a", integer, 0), ("b", integer, 16), ("c", unknown, 64), ("d", integer, 120), ("e", 999, 4000)]
    )
    whole = layout(Btf(b.build()), record)
    assert [field.problem for field in whole.fields] == [
        "",
        "it overlaps the member before",
        "its size is not known",
        "it ends 3 bytes behind the end of the struct",
        "BTF has no type 999",
    ]
    assert _parts(whole)[2] == ("hole of 2 bytes", 48, 16)
    assert sum(isinstance(part, Gap) for part in whole.parts) == 1  # none behind c, of which nobody knows the end


def test_a_struct_that_contains_itself_has_a_layout_all_the_same() -> None:
    b = BtfBuilder()
    own = b.next_id
    b.struct("snake", 8, [("head", own, 0), ("tail", own, 32)])
    whole = layout(Btf(b.build()), own)
    assert whole.size == 8
    assert [field.size for field in whole.fields] == [8, 8]


def test_types_without_members_have_no_layout() -> None:
    b = BtfBuilder()
    integer = b.integer("int", 4, True)
    with pytest.raises(BtfError, match="INT"):
        layout(Btf(b.build()), integer)


def test_bits_in_words() -> None:
    assert [bits_in_words(bits) for bits in (0, 1, 8, 13, 16000)] == [
        "0 bits", "1 bit", "1 byte", "1 byte 5 bits", "2,000 bytes",
    ]  # fmt: skip


_BASIC = (1, 2, 4, 8, 16)


@st.composite
def _declared(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Members of a struct as it is declared: size of the basic type, elements, width of a bit-field or 0."""
    members = []
    for _ in range(draw(st.integers(0, 12))):
        size = draw(st.sampled_from(_BASIC))
        bits = draw(st.integers(1, 8 * size)) if size <= 8 and draw(st.booleans()) else 0
        members.append((size, draw(st.integers(0, 5)), bits))
    return members


@settings(max_examples=300, deadline=None)
@given(_declared(), st.booleans())
def test_members_and_gaps_make_up_the_whole(members: list[tuple[int, int, int]], packed: bool) -> None:
    """A struct laid out as gcc does: what we call hole and padding is what it had to leave free."""
    b = BtfBuilder()
    basic = {size: b.integer(f"u{size}", size) for size in _BASIC}
    position, alignment, used = 0, 1, 0
    rows: list[tuple[str, int, int, int]] = []
    for number, (size, elements, bits) in enumerate(members):
        unit = 8 * size
        alignment = max(alignment, size)
        if bits:
            if not packed and position % unit + bits > unit:
                position = -(-position // unit) * unit
            rows.append((f"m{number}", basic[size], position, bits))
        else:
            step = 8 if packed else unit
            position = -(-position // step) * step
            rows.append((f"m{number}", b.array(basic[size], elements), position, 0))
            bits = unit * elements
        position += bits
        used += bits
    step = 8 if packed else 8 * alignment
    total = -(-position // step) * step // 8
    record = b.bit_fields("laid_out", total, rows)
    whole = layout(Btf(b.build()), record)
    assert [field.problem for field in whole.fields] == [""] * len(rows)
    assert sum(field.bits or 0 for field in whole.fields) == used
    assert used + sum(gap.bits for gap in whole.holes) + whole.padding == 8 * total
    assert all(
        before.bit_offset + (before.bits or 0) <= after.bit_offset for before, after in itertools.pairwise(whole.parts)
    )
    if not packed:
        assert whole.packed == ""


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_data_makes_it_fail(data: st.DataObject) -> None:
    """Any records pointing anywhere: a layout or a BtfError, and gaps never more than the whole."""
    numbers = st.integers(0, 12)
    b = BtfBuilder()
    for _ in range(data.draw(st.integers(1, 10))):
        kind = data.draw(st.sampled_from(["struct", "union", "bits", "array", "typedef", "pointer", "int"]))
        size = data.draw(st.sampled_from([0, 1, 4, 8, 64, 0xFFFFFFFF]))
        rows = data.draw(
            st.lists(st.tuples(st.just("m"), numbers, st.integers(0, 1 << 24) | st.integers(0, 64)), max_size=6)
        )
        if kind == "array":
            b.array(data.draw(numbers), data.draw(st.sampled_from([0, 1, 3, 0xFFFFFFFF])))
        elif kind == "typedef":
            b.typedef("t", data.draw(numbers))
        elif kind == "pointer":
            b.pointer(data.draw(numbers))
        elif kind == "int":
            b.integer("int", size)
        elif kind == "bits":
            b.bit_fields("s", size, [(name, t, at & 0xFFFFFF, data.draw(st.integers(0, 255))) for name, t, at in rows])
        else:
            b.struct("s", size, rows, Kind.UNION if kind == "union" else Kind.STRUCT)
    btf = Btf(b.build())
    for type_id in btf.own_ids:
        if btf.type(type_id).kind in (Kind.STRUCT, Kind.UNION):
            whole = layout(btf, type_id)
            gaps = sum(part.bits for part in whole.parts if isinstance(part, Gap))
            assert 0 <= gaps <= 8 * whole.size
            assert len(whole.fields) == btf.type(type_id).length
            assert whole.summary()
