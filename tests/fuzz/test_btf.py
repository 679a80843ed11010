"""BTF damaged in any way: answers or a ``BtfError``, whatever is asked."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbols import type_text
from symbols.btf import Btf
from symbols.btf_format import FIXED_WORDS, RECORD_WORDS, WORDS_PER_MEMBER, Kind, read_header
from symbols.btf_values import c_type, shape_of
from symbols.c_declaration import declaration
from symbols.errors import BtfError
from symbols.prototypes import from_btf
from symbols.type_access import behind, meaning
from symbols.type_index import NamedType, TypeIndex
from symbols.type_layout import layout
from tests.btf_builder import BtfBuilder
from tests.fuzz.bounds import FLOOR, TIMES, survived
from tests.fuzz.mutation import mutated
from tests.unit.test_btf import every_kind

LIVE = Path("/sys/kernel/btf/vmlinux")
_PATIENCE = 1_000_000
"""Calls; a second or two without a profiler that counts them."""
_UNNAMED_MEMBERS = Kind.DATASEC
_QUESTIONS: list[Callable[[Btf, int], object]] = [c_type, shape_of, declaration, layout, behind, meaning]


def beginning(data: bytes, types: int) -> bytes:
    """The first types of BTF data, with the strings that they use and no others."""
    header = read_header(data)
    words = list(struct.unpack(f"<{(header.types[1] - header.types[0]) // 4}I", data[slice(*header.types)]))
    strings = data[slice(*header.strings)]
    position, used, kept = 0, bytearray(b"\0"), [0]

    def rename(at: int) -> None:
        start = words[at]
        words[at] = len(used) if start else 0
        if start:
            used.extend(strings[start : strings.index(b"\0", start) + 1])

    for _ in range(types):
        info = words[position + 1]
        kind, length = info >> 24 & 0x1F, info & 0xFFFF
        rename(position)
        end = position + FIXED_WORDS.get(kind, RECORD_WORDS + WORDS_PER_MEMBER.get(kind, 0) * length)
        if kind in WORDS_PER_MEMBER and kind != _UNNAMED_MEMBERS:
            for member in range(position + RECORD_WORDS, end, WORDS_PER_MEMBER[kind]):
                rename(member)
        kept[0] = position = end
    section = struct.pack(f"<{kept[0]}I", *words[: kept[0]])
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(section), len(section), len(used)) + section + used


def entangled(levels: int) -> bytes:
    """Types within types, each several times: more steps to look at than there are bytes, unless they are counted."""
    b = BtfBuilder()
    char = b.integer("char", 1)
    inner, unnamed, function = char, char, b.prototype(char, [])
    for level in range(levels):
        inner = b.struct(f"s{level}", 1, [(f"m{n}", inner, 0) for n in range(4)])
        unnamed = b.struct("", 1, [("", unnamed, 0)] * 4)
        function = b.prototype(b.pointer(function), [(f"p{n}", b.pointer(function)) for n in range(4)])
    b.struct("nest", 1, [("", unnamed, 0), ("inner", inner, 0)])
    b.record(Kind.FUNC, "entangled", 1, function)
    b.function("takes", inner, [("inner", inner), ("unnamed", unnamed)])
    return b.build()


@functools.cache
def samples() -> list[bytes]:
    own = [every_kind().build(), every_kind("big").build(), entangled(4)]
    return [*own, beginning(LIVE.read_bytes(), 60), beginning(LIVE.read_bytes(), 250)] if LIVE.exists() else own


def ask(data: bytes, base: Btf | None = None) -> None:
    """Everything that is asked of a BTF, of each of its types and functions."""
    btf = Btf(data, base)
    for type_id in btf.own_ids:
        for question in _QUESTIONS:
            refusable(question, btf, type_id)
    for name in btf.function_names:
        for architecture in ("x86_64", "aarch64"):
            from_btf(btf, architecture, name)
    index = TypeIndex({None: base, "module": btf} if base is not None else {None: btf})
    for row in range(len(index)):
        refusable(named, index.entry(row))


def named(entry: NamedType) -> None:
    type_text.to_text(entry)
    type_text.to_json(entry)


def _definition(btf: Btf, type_id: int) -> None:
    named(NamedType(btf, None, btf.type(type_id)))


def refusable(question: Callable[..., object], *arguments: object) -> None:
    try:
        question(*arguments)
    except BtfError:
        return


@given(st.data())
def test_types(data: st.DataObject) -> None:
    survived(ask, data.draw(mutated(samples())), calls=_PATIENCE * 4)


@given(st.data())
def test_types_of_a_module(data: st.DataObject) -> None:
    kernel = every_kind()
    base = Btf(kernel.build())
    module = BtfBuilder(base=kernel)
    inner = module.struct("inner", 16, [("a", 1, 0), ("b", 3, 64)])
    module.function("module_function", 1, [("argument", module.pointer(inner)), ("other", 4)])
    survived(lambda damaged: ask(damaged, base), data.draw(mutated([module.build()])))


@pytest.mark.parametrize("question", [*_QUESTIONS, _definition])
def test_no_question_takes_more_steps_than_a_person_waits_for(question: Callable[[Btf, int], object]) -> None:
    btf = Btf(entangled(14))
    for type_id in list(btf.own_ids)[-9:]:
        survived(lambda data, type_id=type_id: question(btf, type_id), b"", calls=_PATIENCE, floor=8 * FLOOR)  # type: ignore[misc]


def test_no_prototype_takes_more_steps_than_a_person_waits_for() -> None:
    btf = Btf(entangled(14))
    for name in btf.function_names:
        survived(lambda data, name=name: from_btf(btf, "x86_64", name), b"", calls=_PATIENCE)  # type: ignore[misc]


@pytest.mark.skipif(not LIVE.exists(), reason="this kernel has no BTF")
def test_a_whole_kernel_takes_less_than_four_times_its_size() -> None:
    data = LIVE.read_bytes()
    assert len(data) * TIMES > 8 * FLOOR, "otherwise the floor is all that counts"
    survived(Btf, data, floor=0)
