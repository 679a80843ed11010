"""The call stacks of one event, innermost frame first; frames of the process are bare addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType

from explorer.session import stacks
from explorer.session.events import Event
from explorer.session.session import Session
from explorer.widgets.cells import cut
from explorer.widgets.palette import FAINT, MUTED, TEXT, WARNING
from explorer.widgets.text_view import TextView


class StackView(TextView):
    """Scrolls through the frames of an event."""

    HELP: ClassVar[str] = "call stacks"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "screen.copy", "Copy", id="stacks.copy", tooltip="Copy the call stacks as text"),
    ]

    def show(self, session: Session, event: Event) -> None:
        """Show the stacks of an event that has them, from their top."""
        self.show_lines(list(_lines(session, event)))
        self.scroll_to(y=0, animate=False, force=True)

    def draw_row(self, row: int, width: int) -> list[Segment]:
        """A frame, or what stands over the frames."""
        return cut(super().draw_row(row, width), width)

    def plain(self) -> str:
        """The stacks as text."""
        return "\n".join("".join(segment.text for segment in line).rstrip() for line in self._lines)


def _lines(session: Session, event: Event) -> Iterator[list[Segment]]:
    asked = event.probe.options.stacks
    kernel, user = event.stacks or ((), ())
    for name, of, recorded in (("kernel", "kernel", kernel), ("user", "process", user)):
        addresses = [address for address in recorded if address]  # where a process's frames lead nowhere
        if addresses:
            number = f"{len(addresses)} frame{'s' if len(addresses) > 1 else ''}"
            remark = ", innermost first" + ("; addresses of its memory" if name == "user" else "")
            yield [Segment(of, TEXT), Segment(f"  {number}{remark}", FAINT)]
        elif name in asked:
            yield [Segment(of, TEXT), Segment("  no stack could be read", WARNING)]
        for position, address in enumerate(addresses):
            place = stacks.kernel_frame(session.catalog, address) if name == "kernel" else ""
            words = [Segment(f"{position:4} ", FAINT), Segment(f"{address:#018x} ", MUTED)]
            yield [*words, Segment("" if place == f"{address:#x}" else place, TEXT)]
        if len(recorded) == stacks.MOST_FRAMES:
            cut_off = f"{stacks.MOST_FRAMES} frames are the most that are recorded: there may be more"
            yield [Segment(f"     {cut_off}", WARNING)]
