"""``kexplore show``: one function's prototype, locations and verdict."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from typing import Any

from explorer.commands import show_debuginfo
from explorer.commands.connection import narrate, session
from explorer.errors import ExitCode
from explorer.session.loading import Stage
from explorer.session.session import Session
from symbols import absent_names
from symbols.catalog import Catalog
from symbols.location import InnerRegister, Location, Register, Unknown
from symbols.prototype import Prototype, Source
from symbols.symbol import Instance
from symbols.verdict import Verdict, VerdictKind

_SOURCES = {Source.BTF: "BTF", Source.DWARF: "DWARF", Source.TRACEPOINT: "the system call's tracepoint"}
_REGISTER = 8
"""Bytes of a register; above a narrower value there may be garbage."""
_STAGES = frozenset({Stage.NAMES, Stage.LISTS, Stage.PROTOTYPES})


def run(options: argparse.Namespace) -> int:
    """Print every symbol of that name."""
    return asyncio.run(_run(options.symbol, options.json, options.kernel, options.debuginfo))


async def _run(name: str, as_json: bool, snapshot: str | None, debuginfo: str | None) -> int:
    async with session(_STAGES, snapshot=snapshot, debuginfo=debuginfo) as current:
        catalog = current.catalog
        assert catalog is not None
        assert current.hello is not None
        hidden = current.hello.addresses_hidden_by
        instances = catalog.instances(name)
        if not instances:
            await _show_inlined(current, name, as_json)
        for number, instance in enumerate(instances):
            symbol = instance.symbol
            told = await show_debuginfo.of_symbol(current, symbol, as_json)
            prototype, verdict = catalog.prototype(symbol), catalog.verdict(symbol)
            if as_json:
                print(json.dumps({**to_json(instance, prototype, verdict), **show_debuginfo.to_json(told)}))
            else:
                text = to_text(instance, prototype, verdict, hidden, show_debuginfo.to_lines(told))
                print(("\n" if number else "") + text)
        if not as_json:
            _tell_variants(catalog, name)
        _tell_what_is_missing(current)
        return ExitCode.OK


async def _show_inlined(current: Session, name: str, as_json: bool) -> None:
    """Print a function that has no symbol, for being inlined wherever it is called.

    Raises:
        KexploreError: Debug information does not know it either; the message says what is known of the name.
    """
    assert current.catalog is not None
    told = await show_debuginfo.of_name(current, name, as_json)
    if told is None:
        raise absent_names.error_on(current.catalog, name)
    verdict = current.catalog.verdict_on_name(name)
    if as_json:
        nothing = dict.fromkeys(("address", "size", "module", "type", "neighbours"))
        line = {"name": told.about.name, **nothing, "verdict": verdict.to_json(), "prototype": None}
        print(json.dumps({**line, **show_debuginfo.to_json(told)}))
    else:
        lines = [told.copies[0][1].declaration, f"  verdict    {verdict.kind.value}: {verdict.cause}"]
        print("\n".join([*lines, *show_debuginfo.to_lines(told)]))


def to_json(instance: Instance, prototype: Prototype, verdict: Verdict) -> dict[str, Any]:
    """One line of ``show --json``; a contract."""
    symbol = instance.symbol
    return {
        "name": symbol.name, "address": symbol.address, "size": symbol.size, "module": symbol.module,
        "type": symbol.type, "neighbours": {"before": instance.before, "after": instance.after},
        "verdict": verdict.to_json(),
        "prototype": prototype.to_json() if prototype.source is not Source.NONE else None,
    }  # fmt: skip


def to_text(instance: Instance, prototype: Prototype, verdict: Verdict, hidden: str, more: Sequence[str] = ()) -> str:
    """What a person reads; ``hidden`` says why there is no address where there is none, ``more`` stands behind it."""
    symbol = instance.symbol
    lines = [prototype.text]
    cause = f" ({prototype.cause})" if prototype.cause else ""
    source = "" if prototype.source is Source.NONE else f", from {_SOURCES[prototype.source]}"
    lines.append(f"  prototype  {prototype.trust.value}{source}{cause}")
    where = hidden if symbol.address is None else f"{symbol.address:#x}"
    size = "" if symbol.size is None else f", {symbol.size} bytes"
    module = f", module {symbol.module}" if symbol.module else ""
    lines.append(f"  address    {where}{size}{module}")
    if verdict.kind is VerdictKind.DUPLICATE:
        lines.append(f"  beside     {' and '.join(filter(None, (instance.before, instance.after)))}")
    mechanism = f" by {verdict.mechanism.value}" if verdict.mechanism else ""
    mechanism += f" ({verdict.cost.value})" if verdict.cost else ""
    lines.append(f"  verdict    {verdict.kind.value}{mechanism}: {verdict.cause}")
    lines += more
    rows = [("argument", "type", "lives in", "pt_regs")]
    rows += [(p.name or "-", p.type.text, *_place(prototype, p.location)) for p in prototype.parameters]
    if prototype.return_location is not None:
        rows.append(("returns", prototype.return_type.text, *_place(prototype, prototype.return_location)))
    if len(rows) > 1:
        lines.append("")
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
            lines.append("  " + "  ".join([*cells, row[3]]).rstrip())
    return "\n".join(lines)


def _place(prototype: Prototype, location: Location) -> tuple[str, str]:
    """Where a value lives, with a question mark and the cause where that is not certain, and its place in pt_regs."""
    offset, narrow = "", ""
    if isinstance(location, Register) and location.pt_regs_offset is not None:
        offset = f"+{location.pt_regs_offset:#x}"
    elif isinstance(location, InnerRegister):
        offset = f"inside the pt_regs at {location.pointer.text()}: +{location.offset:#x}"
    if isinstance(location, Register) and location.size < _REGISTER:
        narrow = f" (low {location.size} byte{'s' if location.size > 1 else ''})"
    mark = "" if isinstance(location, Unknown) or prototype.trust_in(location)[0].is_certain else "?"
    return location.text() + mark + narrow + (f": {location.doubt}" if location.doubt else ""), offset


def _tell_variants(catalog: Catalog, name: str) -> None:
    variants = catalog.variants(name)
    if variants:
        print("\nthe compiler made of it:")
    for variant in variants:
        verdict = catalog.verdict(variant)
        print(f"  {variant.qualified_name}  {verdict.kind.value}")
    if variants:
        print(f"all at once: kexplore trace '{name}.*'")


def _tell_what_is_missing(current: Session) -> None:
    assert current.hello is not None
    if not current.hello.can_probe:
        narrate(f"nothing can be probed here: {current.hello.cause}")
    for fact, error in current.loading.failures.items():
        narrate(f"{fact}: {error.message}" + (f" ({error.hint})" if error.hint else ""))
