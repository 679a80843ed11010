"""A function's instructions, one a row: where each stands, what it does, and whether a probe is or can be there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType

from explorer.session.code_words import brief, instruction_words
from explorer.session.kernel_code import Listing
from explorer.session.probe import Probe, ProbeState
from explorer.session.probe_spec import ProbeKind
from explorer.session.session import Session
from explorer.widgets.cells import fit, short_count
from explorer.widgets.line_view import LineView
from explorer.widgets.palette import (
    BOTH_MARK,
    BRIGHT,
    ENTRY,
    ENTRY_MARK,
    ERROR,
    FAINT,
    LOCATION,
    MUTED,
    RETURN,
    RETURN_MARK,
    TEXT,
    WARNING,
)
from symbols.probe_sites import Role, Site

_WIDE = 110
"""Columns from which there is room for addresses and for more of the bytes."""


class CodeList(LineView):
    """The listing of one function."""

    HELP: ClassVar[str] = "instructions"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "screen.toggle_site", "Probe", key_display="Space", id="code.probe",
                tooltip="Arm or disarm a probe at this instruction; at the first one, the entry probe"),
        Binding("enter", "choose", "Follow", id="code.follow",
                tooltip="Go where this call or jump leads; Esc comes back"),
        Binding("y", "screen.copy", "Copy", id="code.copy", tooltip="Copy the place, as trace takes it"),
    ]  # fmt: skip

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._session: Session | None = None
        self.listing: Listing | None = None
        """What is listed; None while it is being read."""
        self._probes: dict[int, list[Probe]] = {}
        self._foreign: frozenset[int] = frozenset()

    def show(self, session: Session, listing: Listing | None, row: int = 0) -> None:
        """Show a function, with the cursor on a row."""
        self._session, self.listing = session, listing
        self._probes = self._own()
        self._foreign = frozenset()
        if listing is not None:
            ours = set(self._probes)
            if listing.symbol.address in ours:  # the kernel puts the entry probe where ftrace is called
                ours |= {site.instruction.address for site in listing.sites if site.role is Role.FTRACE}
            self._foreign = frozenset(listing.kprobes) - ours
        self.cursor = row
        self.rows_changed()
        self.call_after_refresh(self.reveal, self.cursor)

    def renew(self) -> None:
        """Take in what changed about the probes."""
        self._probes = self._own()
        self.refresh()

    @property
    def selected(self) -> Site | None:
        """The instruction under the cursor."""
        return self.listing.sites[self.cursor] if self.listing is not None and self.listing.sites else None

    @property
    def row_count(self) -> int:
        """Instructions and gaps between them."""
        return len(self.listing.sites) if self.listing is not None else 0

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """An instruction."""
        assert self.listing is not None
        assert self._session is not None
        assert self._session.catalog is not None
        site = self.listing.sites[row]
        instruction, wide = site.instruction, width >= _WIDE
        probes = self._probes.get(instruction.address, [])
        yield _mark(site, probes)
        yield Segment(fit(f"+{self.listing.offset(site):#x}", 8), LOCATION)
        if wide:
            yield Segment(f"{instruction.address:016x}  ", FAINT)
        yield Segment(_bytes(instruction.code, 23 if wide else 12), FAINT)
        catalog = self._session.catalog
        notes = [(f" {_state(probe)}", ENTRY if probe.state is ProbeState.ARMED else WARNING) for probe in probes]
        if instruction.address in self._foreign:
            notes.append((" somebody else's probe", WARNING))
        if note := brief(catalog, self.listing, site):
            notes.append((f" {note}", FAINT if site.cause else MUTED))
        words = "" if site.role is Role.PADDING else instruction_words(catalog, self.listing, instruction)
        yield Segment(fit(words, 42 if wide else 30) if notes else words, _style(site))
        yield from (Segment(*note) for note in notes)

    def draw_empty(self, line: int, width: int) -> Iterable[Segment]:
        """Nothing is listed; the heading says why."""
        return ()

    def _own(self) -> dict[int, list[Probe]]:
        """This session's probes in the function, by address."""
        found: dict[int, list[Probe]] = {}
        if self._session is None or self.listing is None:
            return found
        symbol = self.listing.symbol
        assert symbol.address is not None  # else it could not be listed
        for probe in self._session.probes.values():
            address = probe.spec.address
            if address is None and (probe.spec.symbol, probe.spec.module or symbol.module) == (
                symbol.name, symbol.module,
            ):  # fmt: skip
                address = symbol.address + probe.spec.offset
            if address is not None:
                found.setdefault(address, []).append(probe)
        return found


def _mark(site: Site, probes: list[Probe]) -> Segment:
    if any(probe.state is ProbeState.FAILED for probe in probes):
        return Segment("! ", ERROR)
    if any(probe.state is not ProbeState.ARMED for probe in probes):
        return Segment("… ", WARNING)
    kinds = {probe.spec.kind for probe in probes}
    if len(kinds) > 1 or ProbeKind.CALL in kinds:
        return Segment(f"{BOTH_MARK} ", ENTRY)
    if ProbeKind.RETURN in kinds:
        return Segment(f"{RETURN_MARK} ", RETURN)
    if kinds:
        return Segment(f"{ENTRY_MARK} ", ENTRY)
    return Segment("✗ " if site.cause else "  ", FAINT)


def _style(site: Site) -> Style:
    if site.cause:
        return FAINT
    return BRIGHT if site.role in (Role.ENTRY, Role.FTRACE) else TEXT


def _state(probe: Probe) -> str:
    words = {ProbeKind.ENTRY: "hits", ProbeKind.RETURN: "returns", ProbeKind.CALL: "calls"}
    if probe.state is ProbeState.ARMED:
        return f"{short_count(probe.parts[0].counters.hits)} {words[probe.spec.kind]}"
    return "refused" if probe.state is ProbeState.FAILED else f"{probe.state.value}…"


def _bytes(code: bytes, width: int) -> str:
    return fit(code.hex(), width - 1) + " "
