"""The disassembly: a function's instructions to pick places for probes from, and the way along its calls."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from explorer.screens.probe_requests import ProbeRequests
from explorer.session.change import Change
from explorer.session.code_words import remark, spec_at
from explorer.session.kernel_code import Listing
from explorer.session.session import Session
from explorer.widgets.cells import count
from explorer.widgets.code_list import CodeList
from explorer.widgets.heading import Heading
from explorer.widgets.key_bar import KeyBar
from explorer.widgets.line_view import LineView
from explorer.widgets.palette import BRIGHT, ERROR, MUTED, TEXT, WARNING
from symbols.errors import KexploreError
from symbols.symbol import Symbol


@dataclasses.dataclass(frozen=True, slots=True)
class _Visit:
    """A place that was left by a call or a jump."""

    symbol: Symbol
    row: int


class DisassemblyScreen(Screen[None]):
    """Starts with one function; whatever is armed here is a probe of the session like any other.

    Args:
        session: Whose kernel it is.
        symbol: The function.
    """

    HELP: ClassVar[str] = "disassembly"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,left", "back", "Back", key_display="Esc", id="disassembly.back",
                tooltip="Back to where the call or jump was followed from; from the first function to the panes"),
    ]  # fmt: skip

    def __init__(self, session: Session, symbol: Symbol) -> None:
        super().__init__()
        self._session = session
        self._requests = ProbeRequests(self)
        self.symbol = symbol
        """The function that is listed or being read."""
        self._history: list[_Visit] = []

    def compose(self) -> ComposeResult:
        """Heading, instructions, keys."""
        yield Heading(id="code-heading")
        yield CodeList(id="code")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        """Read the function."""
        self._heading, self._code = self.query_one(Heading), self.query_one(CodeList)
        self._code.focus()
        self._session.subscribe(self._heard)
        self._open(self.symbol)

    def on_unmount(self) -> None:
        """The session outlives the screen."""
        self._session.unsubscribe(self._heard)

    @property
    def listing(self) -> Listing | None:
        """What is listed; None while it is being read, and when it cannot be."""
        return self._code.listing

    def action_toggle_site(self) -> None:
        """Arm or disarm a probe at the instruction under the cursor."""
        site, listing, catalog = self._code.selected, self.listing, self._session.catalog
        if site is None or listing is None or catalog is None:
            return
        if site.cause:
            self._requests.refused(KexploreError(f"no probe at +{listing.offset(site):#x}: {site.cause}"))
            return
        spec = spec_at(catalog, listing, site, self._session.probe_for(listing.symbol))
        self._requests.arm(self._session, [spec], lambda: self._session.toggle(spec))

    def action_copy(self) -> None:
        """Copy the place under the cursor."""
        site, listing, catalog = self._code.selected, self.listing, self._session.catalog
        if site is None or listing is None or catalog is None:
            return
        text = str(spec_at(catalog, listing, site, self._session.probe_for(listing.symbol)))
        self.app.copy_to_clipboard(text)
        self.notify(text, title="copied", markup=False, timeout=3)

    def action_back(self) -> None:
        """One step back."""
        if self._history:
            visit = self._history.pop()
            self._open(visit.symbol, visit.row)
        else:
            self.dismiss()

    @on(LineView.Moved, "#code")
    def _moved(self) -> None:
        if self.listing is not None:
            self._head(self.listing)

    @on(LineView.Chosen, "#code")
    def _follow(self) -> None:
        site, listing, catalog = self._code.selected, self.listing, self._session.catalog
        if site is None or listing is None or catalog is None:
            return
        target = site.instruction.target
        if target is None:
            self.notify("it neither calls nor jumps to a place that is known beforehand", timeout=4, markup=False)
            return
        row = listing.row(target)
        if row is not None:
            self._history.append(_Visit(listing.symbol, self._code.cursor))
            self._code.move_cursor(row)
            return
        found = catalog.at(target)
        if found is None or not found[0].is_function:
            self._requests.refused(KexploreError(f"there is no function at {target:#x}"))
            return
        self._history.append(_Visit(listing.symbol, self._code.cursor))
        self._open(found[0], offset=found[1])

    def _open(self, symbol: Symbol, row: int = 0, offset: int | None = None) -> None:
        """List a function, with the cursor on a row or at an offset."""
        if self.listing is not None and self.listing.symbol == symbol and offset is None:
            self._code.move_cursor(row)
            return
        self.symbol = symbol
        self._code.show(self._session, None)
        self._heading.say([Segment(f" {symbol.qualified_name}", BRIGHT), Segment("  reading its code…", MUTED)])

        async def read() -> None:
            assert self._session.catalog is not None
            try:
                listing = await self._session.code.listing(self._session.catalog, symbol)
            except KexploreError as error:
                hint = f" ({error.hint})" if error.hint else ""
                self._heading.say(
                    [Segment(f" {symbol.qualified_name}", BRIGHT)], [Segment(f" ✗ {error.message}{hint}", ERROR)]
                )
                return
            at = row if offset is None or symbol.address is None else listing.row(symbol.address + offset) or 0
            self._code.show(self._session, listing, at)
            self._head(listing)

        self.run_worker(read(), group="code", exclusive=True)

    def _head(self, listing: Listing) -> None:
        """Say what is listed, and below it what matters most: what is wrong with all of it, or with this place."""
        symbol, catalog = listing.symbol, self._session.catalog
        assert catalog is not None
        places = sum(not site.cause for site in listing.sites)
        size = f"{count(symbol.size)} bytes" if symbol.size is not None else "size not known"
        words = f"  {symbol.address:#x} · {size} · {count(places)} places for probes"
        if len(self._history):
            words += f" · {len(self._history)} back"
        verdict = catalog.verdict(symbol)
        refusal = self._session.hello.refusal() if self._session.hello is not None else None
        below = [Segment(" inside a function registers hold what the code put there, not the arguments", MUTED)]
        site = self._code.selected
        if refusal is not None:
            below = [Segment(f" ✗ nothing can be probed here: {refusal.message}", ERROR)]
        elif not verdict.can_arm:
            below = [Segment(f" ✗ {verdict.kind.value}, nowhere in it: {verdict.cause}", ERROR)]
        elif site is not None and (note := remark(catalog, listing, site)):
            below = [Segment(f" +{listing.offset(site):#x}: {note}", WARNING if site.cause else TEXT)]
        elif listing.notes:
            below = [Segment(f" {listing.notes[0]}", WARNING)]
        self._heading.say([Segment(f" {symbol.qualified_name}", BRIGHT), Segment(words, MUTED)], below)

    def _heard(self, change: Change) -> None:
        if change in (Change.PROBES, Change.LOST):
            self._code.renew()
