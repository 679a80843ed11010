"""The card of one function: its prototype, where each argument lives, and whether it can be probed or why not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType

from explorer.session.session import Session
from explorer.widgets.card_lines import card_lines
from explorer.widgets.function_keys import function_keys
from explorer.widgets.palette import MUTED
from explorer.widgets.text_view import TextView
from symbols.symbol import Symbol

_SPACIOUS = 13
"""Rows from which the card can afford blank lines."""


class FunctionCard(TextView):
    """The card of the function that was last chosen; moves by lines, nothing in it is selected."""

    HELP: ClassVar[str] = "function card"
    BINDINGS: ClassVar[list[BindingType]] = function_keys("card", shown=True)

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._session: Session | None = None
        self.symbol: Symbol | None = None
        """The function that is shown."""

    def show(self, session: Session, symbol: Symbol | None) -> None:
        """Show a function's card, from its top."""
        self._session, self.symbol = session, symbol
        self.cursor = 0
        self.scroll_to(y=0, animate=False, force=True)
        self.renew()

    def renew(self) -> None:
        """Show the same function again: something about it became known or changed."""
        width = self.scrollable_content_region.width
        if self._session is None or self.symbol is None or not width:
            self.show_lines([])
        else:
            self.show_lines(card_lines(self._session, self.symbol, width, spacious=self.size.height >= _SPACIOUS))

    def draw_empty(self, line: int, width: int) -> Iterable[Segment]:
        """No function is chosen."""
        if line == 0:
            yield Segment("no function is chosen", MUTED)

    def on_resize(self) -> None:
        """The prototype breaks elsewhere."""
        self.renew()
