"""A type written out as C with its offsets, for people and for ``--json``.

Nameless structs and unions are written out where they stand; what has a name is named.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import BtfType
from symbols.errors import BtfError
from symbols.type_access import Way, behind, spelled
from symbols.type_index import NamedType
from symbols.type_layout import AGGREGATES, CACHE_LINE, Field, Gap, layout

_INDENT = "    "
_WIDEST = 64
"""Columns after which a declaration pushes its own comment to the right."""
_MAXIMUM_DEPTH = 16
_MAXIMUM_LINES = 5_000
"""Of one type; damaged data must not fill a disk."""


def to_text(named: NamedType) -> str:
    """The definition, each line with offset and size in bytes, or byte:bit and bits.

    Raises:
        BtfError: The type is damaged.
    """
    record = named.defined
    if named.record.kind is Kind.TYPEDEF and record.name:
        target = NamedType(named.btf, named.module, record)
        return f"typedef {target.text} {named.text};\n\n{to_text(target)}"
    typedef = named.text if named.record.kind is Kind.TYPEDEF else ""
    write = _aggregate if record.kind in AGGREGATES else _enumeration
    return "\n".join(write(named.btf, record, typedef))


def to_json(named: NamedType) -> dict[str, Any]:
    """One line of ``type --json``; a contract. Offsets and sizes are numbers, unknown is null.

    Raises:
        BtfError: The type is damaged.
    """
    record = named.defined
    head: dict[str, Any] = {
        "kind": NamedType(named.btf, named.module, record).text.split()[0],
        "name": named.record.name,
        "typedef": named.record.kind is Kind.TYPEDEF,
        "module": named.module,
        "size": record.size,
    }
    if record.kind not in AGGREGATES:
        return head | {"enumerators": [{"name": n, "value": v} for n, v in named.btf.enumerators(record)]}
    return head | _JsonWriter(named.btf).layout(record, 0, 0)


def _aggregate(btf: Btf, record: BtfType, typedef: str) -> Iterator[str]:
    whole = layout(btf, record.id)
    head = " ".join(filter(None, ["typedef" if typedef else "", whole.keyword, record.name]))
    rows = list(itertools.islice(_rows(btf, record, 0, 1), _MAXIMUM_LINES + 1))
    if len(rows) > _MAXIMUM_LINES:
        raise BtfError(f"{head} is too entangled to be written out")
    width = min(max(len(code) for code, _, _, _ in [(head, "", "", ""), *rows]), _WIDEST)
    places = max([6, *(len(place) for _, place, _, _ in rows)])
    sizes = max([4, *(len(size) for _, _, size, _ in rows)])
    yield f"{head + ' {':{width}}  // {'offset':>{places}}  {'size':>{sizes}}"
    line = 0
    for code, place, size, note in rows:
        byte = int(place.partition(":")[0]) if place else 0
        if byte // CACHE_LINE > line and not code.startswith((_INDENT * 2, _INDENT + "}")):
            line = byte // CACHE_LINE
            yield f"{'':{width}}  // {f'--- cache line {line} begins at {line * CACHE_LINE} ---'}"
        yield f"{code:{width}}  // {place:>{places}}  {size:>{sizes}}{'  ' + note if note else ''}".rstrip(" /")
    yield f"}} {typedef}".rstrip() + ";"
    yield f"// {'; '.join(whole.summary())}"


def _rows(btf: Btf, record: BtfType, start: int, depth: int) -> Iterator[tuple[str, str, str, str]]:
    """Code, offset, size and note of each line between the braces; ``start`` in bits."""
    indent = _INDENT * depth
    for part in layout(btf, record.id).parts:
        at = start + part.bit_offset
        if isinstance(part, Gap):
            yield "", str(at // 8), _bits(part.bits), part.words()
            continue
        note = f"! {part.problem}" if part.problem else f"aligned to {part.forced} or more" if part.forced else ""
        inner = nameless(btf, part)
        if inner is None or depth >= _MAXIMUM_DEPTH:
            width = f" : {part.bit_size}" if part.bit_size else ""
            yield f"{indent}{spelled(btf, part.type, part.name)}{width};", *_place(part, at), note
        else:
            keyword = inner.kind.name.lower()
            yield f"{indent}{keyword} {{", str(at // 8), "", ""
            yield from _rows(btf, inner, at, depth + 1)
            name = spelled(btf, part.type, part.name).replace(f"{keyword} {{...}}", "").strip()
            yield f"{indent}}}{' ' + name if name else ''};", *_place(part, at), note


def nameless(btf: Btf, field: Field) -> BtfType | None:
    """The struct or union without a name that a member is, or is an array of; None for any other member."""
    try:
        found = behind(btf, field.type)
    except BtfError:
        return None
    if found is None or found.way is not Way.INSIDE or found.record.kind not in AGGREGATES or found.record.name:
        return None
    return found.record if "{...}" in spelled(btf, field.type) else None  # otherwise a typedef names it


def _place(field: Field, at: int) -> tuple[str, str]:
    if field.bit_size is not None:
        return f"{at // 8}:{at % 8}", f"{field.bit_size}b"
    return str(at // 8), "?" if field.size is None else str(field.size)


def _bits(bits: int) -> str:
    return f"{bits}b" if bits % 8 else str(bits // 8)


def _enumeration(btf: Btf, record: BtfType, typedef: str) -> Iterator[str]:
    values = btf.enumerators(record)
    yield " ".join(filter(None, ["typedef" if typedef else "", "enum", record.name, "{"]))
    width = max((len(name) for name, _ in values), default=0)
    for name, value in values:
        yield f"{_INDENT}{name:{width}} = {value},{f'  // {value:#x}' if abs(value) > 9 else ''}"
    yield f"}} {typedef}".rstrip() + ";"
    yield f"// {record.size} bytes; {len(values):,} values{'; signed' if record.flag else ''}"


class _JsonWriter:
    """Writes one type, within a limit of members."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._left = _MAXIMUM_LINES

    def layout(self, record: BtfType, start: int, depth: int) -> dict[str, Any]:
        whole = layout(self._btf, record.id)
        self._left -= len(whole.fields)
        if self._left < 0:
            raise BtfError(f"{whole.keyword} {record.name} is too entangled to be written out")
        return {
            "alignment_at_least": whole.alignment,
            "packed": whole.packed or None,
            "members": [self._member(field, start, depth) for field in whole.fields],
            "holes": [{"bit_offset": start + hole.bit_offset, "bits": hole.bits} for hole in whole.holes],
            "padding_bits": whole.padding,
        }

    def _member(self, field: Field, start: int, depth: int) -> dict[str, Any]:
        at = start + field.bit_offset
        member: dict[str, Any] = {
            "name": field.name or None, "type": spelled(self._btf, field.type), "offset": at // 8, "size": field.size,
            "bit_offset": at, "bit_size": field.bit_size, "problem": field.problem or None,
        }  # fmt: skip
        inner = nameless(self._btf, field)
        if inner is not None and depth < _MAXIMUM_DEPTH:
            member["layout"] = self.layout(inner, at, depth + 1)
        return member
