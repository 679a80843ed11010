"""The top line: which kernel is looked at, with what privilege, whether it can be probed, what is still loading."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from explorer.session.loading import Stage
from explorer.session.session import Session
from explorer.session.values import printable
from explorer.widgets import guard_words
from explorer.widgets.cells import count, cut, words
from explorer.widgets.palette import BRIGHT, ERROR, FAINT, GOOD, KEY, MUTED, TEXT, WARNING

_LOADING = {
    Stage.NAMES: "loading names…",
    Stage.PROTOTYPES: "loading prototypes…",
    Stage.LISTS: "loading lists…",
    Stage.SEARCH: "indexing names…",
}


class StatusBar(Widget):
    """One line, always there."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._session: Session | None = None
        self._notice = ""

    def show(self, session: Session) -> None:
        """Show another session's state; call it again after each change."""
        self._session = session
        self.refresh()

    def notice(self, text: str) -> None:
        """What goes on in the background, "" for nothing; shown before everything else."""
        if text != self._notice:
            self._notice = text
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line; what does not fit any more is left out from the end, the kernel's state never."""
        width = self.size.width
        words_of = self._words()
        separator = ("  ", FAINT)
        while sum(cell_len(text) + 2 for text, _, _ in words_of) - 1 > width and any(spare for _, _, spare in words_of):
            spare = max(range(len(words_of)), key=lambda index: (words_of[index][2], index))
            del words_of[spare]
        line = words(((text, style) for text, style, _ in words_of), separator)
        return Strip(cut([Segment(" "), *line], width)).adjust_cell_length(width).apply_style(self.rich_style)

    def _words(self) -> list[tuple[str, Style, int]]:
        """Text, look, and how easily it can be spared (0: never)."""
        line: list[tuple[str, Style, int]] = [("kexplore", KEY, 4)]
        session = self._session
        if session is None:
            return line
        line.append((session.target.title, BRIGHT, 0))
        if self._notice:
            line.append((printable(self._notice), WARNING, 0))
        hello = session.hello
        if hello is None:
            return line
        line.append((printable(f"{hello.release} {hello.machine}"), TEXT, 2))
        if hello.snapshot is None:
            line.append(("root" if hello.euid == 0 else f"uid {hello.euid}", MUTED if hello.euid == 0 else WARNING, 3))
        if session.gone:
            line.append(("✗ the agent is gone", ERROR, 0))
        elif hello.can_probe:
            line.append(("✓ can be probed", GOOD, 1))
        elif hello.snapshot is not None:
            line.append((printable(f"taken {hello.snapshot.taken}"), WARNING, 2))
        else:
            line.append((f"✗ cannot be probed: {hello.cause}", ERROR, 0))
        if session.limit is not None and hello.can_probe and not session.gone:
            line.append((session.limit.words, WARNING, 0))
        if held_back := guard_words.held_back(session.probes.values()):
            line.append((held_back, WARNING, 1))
        loading = next((text for stage, text in _LOADING.items() if stage not in session.loading.done), "")
        if loading and not session.gone:
            line.append((loading, WARNING, 1))
        elif session.catalog is not None:
            line.append((f"{count(len(session.catalog.rows))} functions", MUTED, 3))
        return line
