"""``kexplore disassemble``: a function's instructions, and which of them take a probe."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from explorer.commands.connection import narrate, session
from explorer.errors import ExitCode
from explorer.session.code_words import instruction_words, place_words, remark
from explorer.session.kernel_code import Listing
from explorer.session.loading import Stage
from explorer.session.probe_spec import ProbeSpec
from symbols.catalog import Catalog
from symbols.errors import KexploreError
from symbols.probe_sites import Site

_STAGES = frozenset({Stage.NAMES, Stage.LISTS})
_BYTES = 10
"""Bytes of an instruction that a line for people has room for."""


def run(options: argparse.Namespace) -> int:
    """Print the function that a name or an address stands for."""
    return asyncio.run(_run(ProbeSpec.parse(options.symbol), options.json))


async def _run(spec: ProbeSpec, as_json: bool) -> int:
    async with session(_STAGES) as current:
        catalog, symbol = current.catalog, current.resolve(spec)
        assert catalog is not None
        if symbol is None or not symbol.is_function:
            raise KexploreError(f"{spec} is no code of the kernel", "kexplore search finds functions by a few letters")
        listing = await current.code.listing(catalog, symbol)
        verdict = catalog.verdict(symbol)
        for note in listing.notes:
            narrate(note)
        if not verdict.can_arm:
            narrate(f"{symbol.name} takes no probe at all: {verdict.cause}")
        for site in listing.sites:
            print(json.dumps(to_json(catalog, listing, site)) if as_json else to_text(catalog, listing, site))
        return ExitCode.OK


def to_json(catalog: Catalog, listing: Listing, site: Site) -> dict[str, Any]:
    """One line of ``disassemble --json``; a contract."""
    instruction = site.instruction
    target = None if instruction.target is None else place_words(catalog, listing, instruction.target)
    return {
        "function": listing.symbol.name, "offset": listing.offset(site), "address": instruction.address,
        "bytes": instruction.code.hex(), "mnemonic": instruction.mnemonic or None, "operands": instruction.operands,
        "target": target, "role": site.role.value, "can_probe": not site.cause, "cause": site.cause,
        "armed": instruction.address in listing.kprobes,
    }  # fmt: skip


def to_text(catalog: Catalog, listing: Listing, site: Site) -> str:
    """What a person reads."""
    code = site.instruction.code
    shown = code.hex() if len(code) <= _BYTES else code[:_BYTES].hex() + "…"
    words = instruction_words(catalog, listing, site.instruction)
    notes = [remark(catalog, listing, site)]
    if site.instruction.address in listing.kprobes:
        notes.insert(0, "a probe is armed here")
    note = "; ".join(filter(None, notes))
    offset = f"+{listing.offset(site):#x}"
    return f"{site.instruction.address:#x}  {offset:<8}{shown:<22}{words:<44}{note}".rstrip()
