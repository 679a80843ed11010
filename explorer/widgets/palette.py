"""The colours of the program: one theme for the panes, one style for each sort of text inside them.

Colour never stands alone: whatever it tells is also told by a mark or a word, for terminals without it.
"""

from __future__ import annotations

from rich.style import Style
from textual.theme import Theme

from explorer.session.values import ValueClass

THEME = Theme(
    name="kexplore",
    primary="#7aa2c9",
    secondary="#8fb996",
    accent="#d9b26f",
    warning="#d9a05b",
    error="#e0786c",
    success="#8fb996",
    foreground="#cdd3da",
    background="#14171b",
    surface="#14171b",
    panel="#2a3038",
    boost="#1d2127",
    dark=True,
    variables={
        "border-blurred": "#3a424c",
        "scrollbar": "#3a424c",
        "scrollbar-hover": "#55606d",
        "scrollbar-active": "#7aa2c9",
        "scrollbar-background": "#14171b",
        "scrollbar-background-hover": "#14171b",
        "scrollbar-background-active": "#14171b",
        "input-cursor-background": "#d9b26f",
        "input-selection-background": "#3b4c5e",
    },
)

TEXT = Style(color="#cdd3da")
BRIGHT = Style(color="#f0f3f6", bold=True)
MUTED = Style(color="#7f8995")
FAINT = Style(color="#596270")
KEY = Style(color="#d9b26f", bold=True)
MATCH = Style(color="#e8c17a", bold=True, underline=True)
TYPE = Style(color="#8fb3d1")
NAME = Style(color="#f0f3f6")
LOCATION = Style(color="#c5a3d6")
GOOD = Style(color="#8fb996")
WARNING = Style(color="#d9a05b")
ERROR = Style(color="#e0786c", bold=True)
ENTRY = Style(color="#8fb996", bold=True)
RETURN = Style(color="#7fb7c4", bold=True)

VALUES: dict[ValueClass, Style] = {
    ValueClass.NUMBER: Style(color="#cdd3da"),
    ValueClass.STRING: Style(color="#a9c98f"),
    ValueClass.ENUMERATOR: Style(color="#d9b26f"),
    ValueClass.ERROR: Style(color="#e0786c", bold=True),
    ValueClass.NULL: Style(color="#7f8995"),
    ValueClass.USER: Style(color="#7fb7c4"),
    ValueClass.KERNEL: Style(color="#c5a3d6"),
    ValueClass.NON_CANONICAL: Style(color="#d9a05b"),
    ValueClass.FAULT: Style(color="#d9a05b"),
    ValueClass.UNREAD: Style(color="#7f8995", italic=True),
}

SELECTED = Style(bgcolor="#2f3f50")
"""The row under the cursor of the focused pane."""
SELECTED_BLURRED = Style(bgcolor="#232930")
"""The same in the other panes."""
SELECTED_PLAIN = Style(reverse=True)
"""The row under the cursor where backgrounds cannot be relied on."""

ENTRY_MARK, RETURN_MARK, BOTH_MARK = "→", "←", "↔"
"""A probe at a function's entry, at its return, at both."""
