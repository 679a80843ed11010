"""The layouts of structs and unions as pahole (dwarves) prints them, and ours in the same terms."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import VOID_ID, BtfType
from symbols.type_layout import AGGREGATES, Field, layout
from tests.btf_oracles import VMLINUX

needs_pahole = pytest.mark.skipif(
    shutil.which("pahole") is None or not VMLINUX.exists(), reason="no pahole (dwarves), or a kernel without BTF"
)

ALWAYS = ("task_struct", "sk_buff", "bio", "page", "inode", "file", "tcp_sock")

_HEAD = re.compile(r"^(struct|union) (\w+) \{")
_MEMBER = re.compile(r"(?P<text>[^;]*);\s*/\*\s*(?P<offset>\d+)(?::\s*(?P<bit>\d+))?\s+(?P<size>\d+) \*/")
_HOLE = re.compile(r"/\* XXX (\d+) (byte|bit)s? hole")
_TOTAL = re.compile(r"/\* size: (\d+), cachelines: (\d+), members: (\d+)")
_PADDING = re.compile(r"/\* padding: (\d+) \*/")
_BIT_PADDING = re.compile(r"/\* bit_padding: (\d+) bits \*/")
_ATTRIBUTE = re.compile(r"\s*__attribute__\(\((?:[^()]|\([^()]*\))*\)\)")
_NAME = re.compile(r"\(\*+\s*(?:const |volatile )?(\w+)(?:\[\d*\])*\)|(\w+)(?:\[\d*\])*(?::\d+)?$")


class Place(NamedTuple):
    """A member: its name, where it begins, and its width in bits."""

    name: str
    bit_offset: int
    bits: int


class Hole(NamedTuple):
    """A hole of so many bits, between the members before and after it in the list."""

    bits: int


class Totals(NamedTuple):
    """What pahole says at the end of a struct; of a union it says nothing."""

    size: int
    cache_lines: int
    members: int
    padding: int


class Shape(NamedTuple):
    """All there is to compare. ``parts`` are flat: what a nameless struct holds stands before itself."""

    totals: Totals | None
    parts: tuple[Place | Hole, ...]


def pahole_shapes(names: Sequence[str], path: Path = VMLINUX, base: Path | None = None) -> dict[str, Shape]:
    """The layouts of some structs and unions, by ``struct bio``."""
    command = ["pahole", *(["--btf_base", str(base)] if base else []), "-F", "btf", "-C", ",".join(names), str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    shapes: dict[str, Shape] = {}
    for block in re.split(r"^(?=(?:struct|union) \w+ \{)", run.stdout, flags=re.MULTILINE):
        if head := _HEAD.match(block):
            shapes[f"{head[1]} {head[2]}"] = _parse(block)
    return shapes


def _parse(block: str) -> Shape:
    parts: list[Place | Hole] = []
    for line in block.splitlines()[1:]:
        if hole := _HOLE.search(line):
            bits = int(hole[1]) * (8 if hole[2] == "byte" else 1)
            if parts and isinstance(parts[-1], Hole):
                bits += parts.pop().bits
            parts.append(Hole(bits))
        elif member := _MEMBER.search(line):
            text = member["text"].strip()
            start = 8 * int(member["offset"]) + int(member["bit"] or 0)
            width = int(text.rpartition(":")[2]) if member["bit"] else 8 * int(member["size"])
            parts.append(Place(_name(text), start, width))
    if block.startswith("union"):
        return Shape(None, tuple(parts))
    block = block[block.rindex("/* size:") :]  # those of structs inside come before
    total, padding, bit_padding = _TOTAL.search(block), _PADDING.search(block), _BIT_PADDING.search(block)
    assert total is not None
    rest = 8 * int(padding[1] if padding else 0) + int(bit_padding[1] if bit_padding else 0)
    return Shape(Totals(int(total[1]), int(total[2]), int(total[3]), rest), tuple(parts))


def _name(text: str) -> str:
    text = _ATTRIBUTE.sub("", text)
    if text.startswith("}"):
        return re.split(r"[\[:]", text[1:].strip())[0]
    found = _NAME.search(text)
    return (found[1] or found[2]) if found else ""


def our_shape(btf: Btf, type_id: int) -> Shape:
    """The same from our own layout."""
    whole = layout(btf, type_id)
    assert not [field.problem for field in whole.fields if field.problem]
    parts = tuple(_flat(btf, type_id, 0))
    if whole.record.kind is Kind.UNION:
        return Shape(None, parts)
    return Shape(Totals(whole.size, whole.cache_lines(), len(whole.fields), whole.padding), parts)


def _flat(btf: Btf, type_id: int, start: int) -> Iterator[Place | Hole]:
    for part in layout(btf, type_id).parts:
        if isinstance(part, Field):
            inner = nameless(btf, part.type)
            if inner is not None:
                yield from _flat(btf, inner.id, start + part.bit_offset)
            yield Place(part.name, start + part.bit_offset, part.bits or 0)
        elif not part.at_end:
            yield Hole(part.bits)


def nameless(btf: Btf, type_id: int) -> BtfType | None:
    """The struct or union without a name that a member is, or is an array of: pahole writes it out in place."""
    record = _innermost(btf, type_id, Kind.ARRAY)
    return record if record is not None and record.kind in AGGREGATES and not record.name else None


def _innermost(btf: Btf, type_id: int, *looked_through: Kind) -> BtfType | None:
    while type_id != VOID_ID:
        record = btf.type(type_id)
        if record.kind not in (Kind.CONST, Kind.VOLATILE, *looked_through):
            return record
        type_id = btf.array(record)[0] if record.kind is Kind.ARRAY else record.target
    return None


def comparable(btf: Btf) -> dict[str, int]:
    """Structs and unions by ``struct bio``.

    Without those that pahole would print another one for, because the name stands for several, those without members,
    and those with a pointer to a nameless struct, which pahole prints as if it were inside.
    """
    named = [(name, type_id) for kind in AGGREGATES for type_id, name in btf.named([kind])]
    times = Counter(name for name, _ in named)
    records = [btf.type(type_id) for name, type_id in named if times[name] == 1]
    return {
        f"{record.kind.name.lower()} {record.name}": record.id
        for record in records
        if record.length and not any(_points_to_nameless(btf, member.type) for member in btf.members(record))
    }


def _points_to_nameless(btf: Btf, type_id: int) -> bool:
    pointer = _innermost(btf, type_id, Kind.ARRAY)
    if pointer is None or pointer.kind is not Kind.PTR:
        return False
    target = _innermost(btf, pointer.target, Kind.ARRAY, Kind.PTR)
    return target is not None and target.kind in AGGREGATES and not target.name


def with_something_special(btf: Btf, ids: dict[str, int]) -> list[str]:
    """Those with bit-fields, nameless members, arrays of no elements, members across their natural places."""
    special = []
    for text, type_id in ids.items():
        whole = layout(btf, type_id)
        if whole.packed or any(field.bit_size or not field.name or field.bits == 0 for field in whole.fields):
            special.append(text)
    return special
