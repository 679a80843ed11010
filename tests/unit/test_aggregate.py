"""The shape of structs, from descriptions of their parts that belong to no format."""

from __future__ import annotations

import pytest

from symbols.abi.aggregate import Aggregate, Array, Member, Part, Scalar, shape_of
from symbols.abi.shape import Shape, ShapeKind
from symbols.errors import KexploreError

TYPES: dict[str, Part[str]] = {
    "int": Scalar(4),
    "long": Scalar(8),
    "double": Scalar(8, floating=True),
    "opaque": Scalar(None, text="struct opaque"),
    "int[3]": Array("int", 4, 3),
    "pair": Aggregate(16, [Member("long", 0), Member("long", 64)]),
    "itself": Aggregate(8, [Member("itself", 0)]),
}


def shape(size: int, *members: Member[str], alignment: int | None = None) -> Shape:
    return shape_of(Aggregate(size, members, alignment), TYPES.__getitem__, KexploreError)


def test_parts_give_alignment_and_kind() -> None:
    assert shape(16, Member("int[3]", 0), Member("int", 96)) == Shape(ShapeKind.AGGREGATE, 16, 4)
    assert shape(24, Member("pair", 0), Member("int", 128)) == Shape(ShapeKind.AGGREGATE, 24, 8)
    assert shape(16, Member("long", 0), Member("double", 64)).kind is ShapeKind.FLOATING


def test_a_word_without_a_member_is_hollow() -> None:
    assert shape(16, Member("long", 0), alignment=16) == Shape(ShapeKind.AGGREGATE, 16, 16, hollow=True, aligned=True)
    assert not shape(16, Member("pair", 0)).hollow


def test_a_member_aligned_by_attribute_is_looked_at_all_the_same() -> None:
    assert shape(16, Member("double", 0, alignment=16), Member("int", 64)) == Shape(ShapeKind.FLOATING, 16, 16)


def test_crooked_members_tell_a_packed_struct() -> None:
    assert shape(12, Member("int", 0), Member("long", 32)) == Shape(ShapeKind.AGGREGATE, 12, 1, misaligned=True)


def test_what_is_not_known_is_said() -> None:
    assert shape(8, Member("opaque", 0)).cause == "a member of it, struct opaque, is not known"
    with pytest.raises(KexploreError, match="too entangled"):
        shape(8, Member("itself", 0))
