"""A screen of numbered panes: one layout, which CSS classes fit to the size of the terminal; focus and zoom."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import Screen

PANES = ("search", "functions", "card", "probes", "events")
"""Their ids, in the order of their numbers."""


class PanedScreen(Screen[None]):
    """Moves between its panes."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-wide")]  # noqa: RUF012 - declared so by Textual
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (15, "-short"), (32, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "focus_pane('search')", "Search", id="browse.search", tooltip="Back to the search box"),
        Binding("z", "zoom", "Zoom", id="browse.zoom", tooltip="The focused pane alone, or all panes again"),
        Binding("1", "focus_pane('search')", "Search box", show=False, id="browse.pane-1", tooltip="The search box"),
        Binding("2", "focus_pane('functions')", "Functions", show=False, id="browse.pane-2", tooltip="The functions"),
        Binding("3", "focus_pane('card')", "Card", show=False, id="browse.pane-3", tooltip="The function's card"),
        Binding("4", "focus_pane('probes')", "Probes", show=False, id="browse.pane-4", tooltip="The probes"),
        Binding("5", "focus_pane('events')", "Events", show=False, id="browse.pane-5", tooltip="The events"),
        # With priority: a key that comes right behind, as over a slow line, is then for the next pane already.
        Binding("tab", "app.focus_next", "Next pane", show=False, id="browse.next-pane", priority=True,
                tooltip="The next pane"),
        Binding("shift+tab", "app.focus_previous", "Previous pane", show=False, id="browse.previous-pane",
                priority=True, tooltip="The previous pane"),
    ]  # fmt: skip

    def action_focus_pane(self, pane: str) -> None:
        """Focus a pane; a zoomed one gives way to it."""
        if self.zoomed and self.zoomed != pane:
            self.zoom(pane)
        self.set_focus(self.query_one(f"#{pane}"))  # at once: focus() would let a fast next key go to the old pane

    def action_zoom(self) -> None:
        """The focused pane alone, or all again."""
        self.zoom("" if self.zoomed or self.focused is None else self.focused.id or "")

    @property
    def zoomed(self) -> str:
        """The pane that has the screen alone; "" where none has."""
        return next((pane for pane in PANES if self.has_class(f"-zoom-{pane}")), "")

    def zoom(self, pane: str) -> None:
        """Give a pane the screen alone; "": show all again."""
        self.remove_class(*(f"-zoom-{other}" for other in PANES))
        if pane:
            self.add_class(f"-zoom-{pane}")
