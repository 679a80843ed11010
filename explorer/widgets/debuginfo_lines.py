"""What a function's card says from debug information: where it is in the sources, and where it was inlined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment

from explorer.session.session import Session
from explorer.widgets.cells import count
from explorer.widgets.palette import KEY, LOCATION, MUTED, TEXT, WARNING
from symbols.symbol import Symbol

if TYPE_CHECKING:
    from explorer.session.debuginfo import About

_MOST = 4
"""Copies that the card names; all of them are on a screen of their own."""


def debuginfo_lines(session: Session, symbol: Symbol) -> list[list[Segment]]:
    """The lines; none as long as nothing is known, and where no debug information is installed."""
    about = session.learn(symbol)
    if about is None:
        return []
    if about.file is None:
        return [[Segment(about.cause, WARNING)]] if session.target.debuginfo else []
    lines = []
    if about.function is not None and about.function.declared is not None:
        lines.append([Segment("source ", MUTED), Segment(str(about.function.declared), TEXT)])
    return lines + _inlined(session, about)


def _inlined(session: Session, about: About) -> list[list[Segment]]:
    progress = session.debuginfo.progress
    if about.complete or (progress is None and not session.debuginfo.failure):
        scope = ""
    elif progress is not None:
        scope = f" in its own source file; looking through the others, {progress:.0%}"
    else:
        scope = f" in its own source file; {session.debuginfo.failure}"
    if not about.copies:
        return [[Segment(f"inlined nowhere{scope}", MUTED)]] if scope else []
    head = [
        Segment(f"inlined {count(len(about.copies))} times{scope} ", MUTED),
        Segment("i", KEY),
        Segment(" arms", MUTED),
    ]
    lines = [head]
    for copy in about.copies[:_MOST]:
        lines.append([Segment("  at ", MUTED), Segment(copy.place, LOCATION)])
    if len(about.copies) > _MOST:
        lines.append([Segment(f"  and {count(len(about.copies) - _MOST)} more", MUTED)])
    return lines
