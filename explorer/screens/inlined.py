"""Where one function was inlined: each place can be probed, with the arguments that debug information locates there."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from explorer.screens.probe_requests import ProbeRequests
from explorer.session.change import Change
from explorer.session.debuginfo import About
from explorer.session.session import Session
from explorer.widgets.cells import count
from explorer.widgets.copy_list import CopyList
from explorer.widgets.line_view import LineView
from symbols.errors import KexploreError
from symbols.location import Unknown
from symbols.prototype import Parameter
from symbols.symbol import Symbol

_PORTION = 16
"""Copies that are described in one go; each may be in another source file."""


class InlinedScreen(ModalScreen[None]):
    """Laid over the main screen.

    Args:
        session: Whose kernel.
        about: What is known of the function.
        module: That it is in; None for the kernel itself.
    """

    HELP: ClassVar[str] = "inlined copies"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,i,q", "dismiss", "Close", key_display="Esc", id="inlined.close", tooltip="Back"),
    ]

    def __init__(self, session: Session, about: About, module: str | None) -> None:
        super().__init__()
        self._session = session
        self._requests = ProbeRequests(self)
        self._about = about
        self._module = module

    def compose(self) -> ComposeResult:
        """The copies, and the arguments of the one under the cursor."""
        with Vertical(id="box") as box:
            scope = "" if self._about.complete else " in its own source file"
            box.border_title = f"{self._about.name}, inlined {count(len(self._about.copies))} times{scope}"
            box.border_subtitle = "Space arms, Esc closes"
            yield CopyList(self._session, self._about.copies, id="copies")
            yield Static(id="copy", markup=False)

    def on_mount(self) -> None:
        """Begin to read the descriptions."""
        self._list = self.query_one(CopyList)
        self._list.focus()
        self._session.subscribe(self._heard)
        self.run_worker(self._describe(), group="describing")
        self._explain()

    def on_unmount(self) -> None:
        """Listen no more."""
        self._session.unsubscribe(self._heard)

    def action_toggle_copy(self) -> None:
        """Arm or disarm a probe at the copy under the cursor."""
        copy, session = self._list.selected, self._session
        if copy is None:
            return
        refusal = session.hello.refusal() if session.hello else None
        if copy.spec is None:
            self._requests.refused(KexploreError(f"{copy.place} cannot be probed: {copy.cause}"))
        elif refusal is not None:
            self._requests.refused(refusal)
        else:
            spec = copy.spec
            self._requests.arm(session, [spec], lambda: session.toggle(spec))

    def action_copy(self) -> None:
        """Copy the place as ``kexplore trace`` takes it."""
        if self._list.selected is not None and self._list.selected.spec is not None:
            text = str(self._list.selected.spec)
            self.app.copy_to_clipboard(text)
            self.notify(text, title="copied", markup=False, timeout=3)

    @on(LineView.Moved, "#copies")
    def _explain(self) -> None:
        copy, described = self._list.selected, self._list.description
        lines = [f"cannot be probed: {copy.cause}"] if copy is not None and copy.cause else []
        if described is not None:
            lines += [described.declaration, *(_argument(parameter) for parameter in described.parameters)]
        self.query_one("#copy", Static).update("\n".join(lines))

    def _heard(self, change: Change) -> None:
        if change is Change.PROBES:
            self._list.refresh()

    async def _describe(self) -> None:
        copies = self._about.copies
        for start in range(0, len(copies), _PORTION):
            try:
                portion = copies[start : start + _PORTION]
                self._list.describe(await self._session.debuginfo.describe(portion, self._module))
            except KexploreError as error:
                self.query_one("#copy", Static).update(error.message)
                return
            if start <= self._list.cursor < start + _PORTION:
                self._explain()


def _argument(parameter: Parameter) -> str:
    location = parameter.location
    where = location.cause if isinstance(location, Unknown) else location.text()
    return f"  {parameter.name or '-'}  {where}"


async def screen_for(session: Session, symbol: Symbol | None, query: str) -> InlinedScreen | None:
    """The copies of what was typed, if that is inlined only, or else of a symbol; None where there is neither.

    Raises:
        KexploreError: It was inlined nowhere, or that cannot be told.
    """
    if session.catalog is not None and session.catalog.inlined_only(query):
        about = await session.debuginfo.about_name(query)
    elif symbol is not None:
        about = await session.debuginfo.about(symbol)
    else:
        return None
    if not about.copies:
        scope = "" if about.complete else " in its own source file"
        raise KexploreError(about.cause or f"{about.name} was inlined nowhere{scope}")
    return InlinedScreen(session, about, symbol.module if symbol else None)
