"""What ``kexplore show`` says from debug information: where a function is in the sources, and where it was inlined."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from typing import Any

from explorer.commands.connection import narrate
from explorer.session.debuginfo import About, Copy
from explorer.session.session import Session
from symbols.dwarf.debug_info import InlinedCopy
from symbols.errors import KexploreError
from symbols.location import Location, Unknown
from symbols.symbol import Symbol

_MOST_IN_TEXT = 20
_MOST_IN_JSON = 200
"""Copies that are told in full; some functions were inlined thousands of times."""


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What is known of a function, its first copies described in full."""

    about: About
    copies: tuple[tuple[Copy, InlinedCopy], ...]


async def of_symbol(current: Session, symbol: Symbol, as_json: bool) -> Told:
    """What debug information tells of a symbol; without any, why."""
    return await _told(current, await current.debuginfo.about(symbol), symbol.module, as_json)


async def of_name(current: Session, name: str, as_json: bool) -> Told | None:
    """What it tells of a function that has no symbol; None when it knows none of this name, or there is none.

    May take half a minute the first time: then the index of all inlined copies is made, and kept.
    """
    meter = asyncio.create_task(_meter(current))
    try:
        about = await current.debuginfo.about_name(name)
    except KexploreError as error:
        narrate(
            f"whether it is inlined only cannot be told: {error.message}" + (f" ({error.hint})" if error.hint else "")
        )
        return None
    finally:
        meter.cancel()
        await asyncio.wait([meter])
    return await _told(current, about, name.rpartition(":")[0] or None, as_json) if about.copies else None


def to_json(told: Told) -> dict[str, Any]:
    """The members ``source`` and ``inlined`` of ``show --json``; null where there is no debug information."""
    about = told.about
    if about.file is None:
        return {"source": None, "inlined": None}
    function = about.function
    declared = function.declared if function else told.copies[0][1].declared if told.copies else None
    entry = function.entry if function else None
    source = {
        "declared": str(declared) if declared else None, "entry": str(entry) if entry else None,
        "debuginfo": str(about.file),
    }  # fmt: skip
    copies = [
        {
            "place": copy.place, "probe": str(copy.spec) if copy.spec else None, "cause": copy.cause or None,
            "called": str(described.called) if described.called else None,
            "parameters": [
                {"name": p.name, "type": p.type.text, "location": p.location.to_json()} for p in described.parameters
            ],
        }
        for copy, described in told.copies
    ]  # fmt: skip
    return {"source": source, "inlined": {"total": len(about.copies), "complete": about.complete, "copies": copies}}


def to_lines(told: Told) -> list[str]:
    """What a person reads, below the prototype."""
    about = told.about
    if about.cause:
        return [f"  source     unknown: {about.cause}"]
    lines = []
    declared = about.function.declared if about.function else told.copies[0][1].declared if told.copies else None
    if declared:
        lines.append(f"  source     {declared}")
    if not about.copies:
        return lines
    scope = "" if about.complete else " in its own source file; those in others are not indexed yet"
    lines.append(f"  inlined    {len(about.copies):,} times{scope}")
    for copy, described in told.copies:
        called = f"  {described.called}" if described.called else ""
        refusal = f"  cannot be probed: {copy.cause}" if copy.cause else ""
        lines.append(f"    {copy.place}{called}{refusal}")
        if described.parameters:
            places = [f"{p.name}={_words(p.location)}" for p in described.parameters]
            lines.append(f"      {', '.join(places)}")
    if (more := len(about.copies) - len(told.copies)) > 0:
        lines.append(f"    and {more:,} more")
    return lines


def _words(location: Location) -> str:
    return f"? ({location.cause})" if isinstance(location, Unknown) else location.text()


async def _told(current: Session, about: About, module: str | None, as_json: bool) -> Told:
    if not about.copies:
        return Told(about, ())
    first = about.copies[: _MOST_IN_JSON if as_json else _MOST_IN_TEXT]
    return Told(about, tuple(zip(first, await current.debuginfo.describe(first, module), strict=True)))


async def _meter(current: Session) -> None:
    """Say on stderr how far the index is."""
    said = False
    try:
        while True:
            await asyncio.sleep(0.5)
            progress = current.debuginfo.progress
            if progress is not None and sys.stderr.isatty():
                said = True
                print(f"\rkexplore: indexing inlined copies, {progress:.0%}", end="", file=sys.stderr, flush=True)
            elif progress is not None and not said:
                said = True
                narrate("indexing inlined copies, which takes half a minute once")
    finally:
        if said and sys.stderr.isatty():
            print(file=sys.stderr)
