"""What a function's card says, as lines of a given width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from explorer.session.loading import Stage
from explorer.session.probe import ProbeState
from explorer.session.probe_spec import ProbeKind
from explorer.session.session import Session
from explorer.widgets import c_prototype, mechanism_words
from explorer.widgets.call_lines import call_lines
from explorer.widgets.cells import count, fit
from explorer.widgets.debuginfo_lines import debuginfo_lines
from explorer.widgets.kin_lines import kin_lines
from explorer.widgets.palette import BRIGHT, ERROR, FAINT, GOOD, LOCATION, MUTED, NAME, TEXT, TYPE, WARNING
from symbols.location import InnerRegister, Location, Reference, Register, Registers, Split, Stack, Unknown
from symbols.prototype import Prototype, Source, Trust
from symbols.symbol import Symbol
from symbols.verdict import Mechanism, VerdictKind

Line = list[Segment]
Lines = list[Line]

_TRUST_STYLES = {Trust.EXACT: GOOD, Trust.VARIANT: WARNING, Trust.WRAPPER: WARNING, Trust.NONE: ERROR}
_SOURCES = {Source.BTF: "BTF", Source.DWARF: "DWARF", Source.TRACEPOINT: "tracepoint"}
_MECHANISMS = {
    Mechanism.FTRACE: "by ftrace, the cheapest way",
    Mechanism.JUMP: "by a jump, a cheap way",
    Mechanism.INT3: "by a breakpoint, the dearest way",
}


def card_lines(session: Session, symbol: Symbol, width: int, *, spacious: bool) -> Lines:
    """The whole card of a function, what matters most first.

    Args:
        session: Whose catalog it is of.
        symbol: The function.
        width: Of the pane.
        spacious: Whether there is room for blank lines.
    """
    assert session.catalog is not None
    gap: Lines = [[]] if spacious else []
    lines: Lines = []
    table: Lines = []
    if Stage.PROTOTYPES in session.loading.done:
        prototype = session.catalog.prototype(symbol)
        lines += _title(symbol, prototype, width)
        lines += c_prototype.layout(prototype, width) if prototype.trust is not Trust.NONE else []
        if prototype.cause:
            lines += paragraph(prototype.cause, _TRUST_STYLES[prototype.trust], width)
        table = [*gap, *_arguments(prototype, width)]
    else:
        lines += [*paragraph(symbol.name, BRIGHT, width), [Segment("prototypes are loading…", MUTED)]]
    answer, reason = _verdict(session, symbol)
    lines += [*gap, *paragraph(*answer, width, "  "), *_probes(session, symbol, width), *table, *gap]
    kin = kin_lines(session, symbol, width)
    lines += [*kin, *gap] if kin else []
    lines += [*paragraph(reason, MUTED, width), *paragraph(_place(session, symbol), MUTED, width)]
    return lines + debuginfo_lines(session, symbol)


def paragraph(text: str, style: Style, width: int, indent: str = "") -> Lines:
    """Words broken over lines."""
    broken = textwrap.wrap(text, max(width, 10), subsequent_indent=indent, break_long_words=True)
    return [[Segment(line, style)] for line in broken]


def _title(symbol: Symbol, prototype: Prototype, width: int) -> Lines:
    source = _SOURCES.get(prototype.source)
    badge = f"{prototype.trust.value}, {source}" if source else "no prototype"
    style = _TRUST_STYLES[prototype.trust]
    room = width - cell_len(badge) - 1
    if cell_len(symbol.name) > room:  # the whole name matters more than one line
        return [*paragraph(symbol.name, BRIGHT, width), [Segment(badge, style)]]
    return [[Segment(fit(symbol.name, room), BRIGHT), Segment(" " + badge, style)]]


def _arguments(prototype: Prototype, width: int) -> Iterator[Line]:
    """The table: name, type, where it lives, and where that is saved in ``struct pt_regs``."""
    rows = [
        (parameter.name or f"arg{position}", parameter.type.text, parameter.location)
        for position, parameter in enumerate(prototype.parameters, start=1)
    ]
    if prototype.trust is not Trust.NONE:
        rows.append(("return", prototype.return_type.text, prototype.return_location or _NOTHING))
    if not rows:
        return
    trusts = [prototype.trust_in(location)[0] for _, _, location in rows]
    places = [_place_words(location, trust) for (_, _, location), trust in zip(rows, trusts, strict=True)]
    told = ""
    names = min(max(8, *(cell_len(name) for name, _, _ in rows)), max(8, width // 3))
    where = max(2, *(cell_len(place) for place, _ in places))
    offsets = max(7, *(cell_len(offset) for _, offset in places))
    types = max(6, min(max(cell_len(text) for _, text, _ in rows), width - names - where - offsets - 6))
    yield _columns((("argument", names), ("type", types), ("in", where), ("pt_regs", offsets)), [FAINT] * 4)
    for (name, text, location), (place, offset), trust in zip(rows, places, trusts, strict=True):
        style = LOCATION if trust.is_certain else _TRUST_STYLES[trust]
        yield _columns(((name, names), (text, types), (place, where), (offset, offsets)), [NAME, TYPE, style, style])
        if location.doubt and location.doubt != told:
            told = location.doubt
            yield from paragraph("  " + told, WARNING, width, "  ")
    if prototype.varargs:
        yield [Segment("…and variable arguments", MUTED)]


_NOTHING = Unknown("")


def _columns(cells: Sequence[tuple[str, int]], styles: Sequence[Style]) -> Line:
    return [
        Segment(fit(text, width) + ("  " if index < len(cells) - 1 else ""), style)
        for index, ((text, width), style) in enumerate(zip(cells, styles, strict=True))
    ]


def _place_words(location: Location, trust: Trust) -> tuple[str, str]:
    """Where a value lives, with a mark unless that is certain, and the offset of that in the saved registers."""
    place, offset = _place_and_offset(location)
    return (place if trust.is_certain or isinstance(location, Unknown) else f"{place}?"), offset


def _place_and_offset(location: Location) -> tuple[str, str]:
    match location:
        case Register(pt_regs_offset=offset) if offset is not None:
            return location.text(), f"+{offset:#x}"
        case Registers(pt_regs_offsets=offsets) | Split(registers=Registers(pt_regs_offsets=offsets)):
            return location.text(), " ".join(f"+{offset:#x}" for offset in offsets if offset is not None)
        case Reference(pointer=Register(pt_regs_offset=offset)) if offset is not None:
            return location.text(), f"+{offset:#x}"
        case InnerRegister(pointer=pointer, offset=offset):
            return location.text(), f"{pointer.text()}: +{offset:#x}"
        case Stack():
            return location.text(), "stack"
        case Unknown(cause=""):
            return "-", ""
        case _:
            return location.text(), ""


def _verdict(session: Session, symbol: Symbol) -> tuple[tuple[str, Style], str]:
    """Whether it can be probed, and the reason."""
    if session.hello is not None and not session.hello.judges_functions:
        return ("✗ nothing can be probed on this kernel", ERROR), ""
    if Stage.LISTS not in session.loading.done:
        return ("whether it can be probed is being looked up…", MUTED), ""
    assert session.catalog is not None
    verdict = session.catalog.verdict(symbol)
    if not verdict.can_arm:
        return (f"✗ {verdict.kind.value}: {verdict.cause}", ERROR), ""
    if verdict.mechanism is None:
        return (f"? {verdict.kind.value}: {verdict.cause}", WARNING), ""
    warns = verdict.kind is not VerdictKind.PROBEABLE
    words = f"{verdict.kind.value}, can be probed" if warns else "can be probed"
    return (f"✓ {words} {_MECHANISMS[verdict.mechanism]}", WARNING if warns else GOOD), verdict.cause


def _probes(session: Session, symbol: Symbol, width: int) -> Lines:
    """What became of its probes: what the kernel answered when one was refused, what the guard says of others."""
    lines: Lines = []
    for kind in ProbeKind:
        probe = session.probes.get(session.probe_for(symbol, kind))
        if probe is not None and probe.state is ProbeState.FAILED and probe.error is not None:
            lines += paragraph(f"! {kind.value} probe refused: {probe.error.message}", ERROR, width, "  ")
            if probe.error.hint:
                lines += paragraph(f"  {probe.error.hint}", TEXT, width, "  ")
        elif probe is not None and probe.guard is not None and probe.state is ProbeState.ARMED:
            words = probe.guard.text or f"about {probe.guard.cost_text} at {probe.guard.rate:,.0f} hits/s"
            style = WARNING if probe.guard.holds_back else MUTED
            lines += paragraph(f"{kind.value} probe: {words}", style, width, "  ")
        if probe is not None:
            lines += [*mechanism_words.lines(probe, width), *call_lines(probe, width)]
    return lines


def _place(session: Session, symbol: Symbol) -> str:
    assert session.hello is not None
    hidden = f"address {session.hello.addresses_hidden_by}"
    words = [hidden if symbol.address is None else f"{symbol.address:#x}"]
    if symbol.size is not None:
        words.append(f"{count(symbol.size)} bytes")
    words.append(f"module {symbol.module}" if symbol.module else "kernel text")
    assert session.catalog is not None
    if (instances := session.catalog.count(symbol)) > 1:
        words.append(f"one of {instances} of this name")
    return " · ".join(words)
