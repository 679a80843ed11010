"""The functions that come of one name, as lines of a card: those that share it, and what the compiler made of them."""

from __future__ import annotations

from rich.segment import Segment

from explorer.session.loading import Stage
from explorer.session.probe_spec import ProbeKind
from explorer.session.session import Session
from explorer.widgets.cells import cut, fit
from explorer.widgets.function_list import probe_mark, verdict_mark
from explorer.widgets.palette import BRIGHT, FAINT, KEY, LOCATION, MUTED, TEXT
from symbols.symbol import Symbol

_MOST = 9
"""Lines of functions; more would push everything else off the card."""


def kin_lines(session: Session, symbol: Symbol, width: int) -> list[list[Segment]]:
    """The kin of a function, itself marked; nothing where it is the only one of its name."""
    assert session.catalog is not None
    kin = session.catalog.kin(symbol)
    if len(kin) < 2:
        return []
    here = next((place for place, instance in enumerate(kin) if instance.symbol == symbol), 0)
    first = max(0, min(here - _MOST // 2, len(kin) - _MOST))
    names = min(max(len(instance.symbol.qualified_name) for instance in kin), max(width // 3, 12))
    title = [Segment(f"{here + 1} of {len(kin)} that come of this name  ", MUTED)]
    title += [Segment("n N", KEY), Segment(" others  ", MUTED), Segment("v", KEY), Segment(" all variants", MUTED)]
    lines = [cut(title, width)]
    for instance in kin[first : first + _MOST]:
        other = instance.symbol
        chosen = other == symbol
        mark = probe_mark(session.probes.get(session.probe_for(other, kind)) for kind in ProbeKind)
        line = [Segment("▸" if chosen else " ", KEY), Segment(*mark)]
        if Stage.LISTS in session.loading.done:
            line.append(Segment(*verdict_mark(session.catalog.verdict(other))))
        line += [
            Segment(" " + fit(other.qualified_name, names) + "  ", BRIGHT if chosen else TEXT),
            Segment("" if other.address is None else f"{other.address:#x}  ", LOCATION),
            Segment(" and ".join(name for name in (instance.before, instance.after) if name), FAINT),
        ]
        lines.append(cut(line, width))
    return lines


def next_of_kin(session: Session, symbol: Symbol, step: int) -> Symbol:
    """The function that is ``step`` behind this one among those of its name, around in a circle."""
    assert session.catalog is not None
    kin = [instance.symbol for instance in session.catalog.kin(symbol)]
    return kin[(kin.index(symbol) + step) % len(kin)] if symbol in kin else symbol
