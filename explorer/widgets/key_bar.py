"""The bottom line: the keys of the focused pane, made from its bindings."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding
from textual.strip import Strip
from textual.widget import Widget

from explorer.widgets.palette import KEY, MUTED

_KEY_NAMES = {
    "question_mark": "?", "slash": "/", "space": "Space", "escape": "Esc", "enter": "Enter", "colon": ":",
    "delete": "Del", "pageup": "PgUp", "pagedown": "PgDn", "tab": "Tab", "shift+tab": "Shift+Tab", "home": "Home",
    "exclamation_mark": "!", "plus": "+", "minus": "-", "asterisk": "*", "backspace": "Backspace",
    "end": "End", "up": "↑", "down": "↓", "left": "←", "right": "→",
}  # fmt: skip


def key_name(key: str) -> str:
    """A key as it is printed on a keyboard."""
    if key in _KEY_NAMES:
        return _KEY_NAMES[key]
    if key.startswith("ctrl+"):
        return "Ctrl+" + key[5:].upper()
    return key.upper() if len(key) > 1 else key


def keys_of(binding: Binding) -> str:
    """All keys of a binding, for people."""
    return " ".join(key_name(key) for key in binding.key.split(","))


class KeyBar(Widget):
    """Keys and what they do, as many as fit; a click presses the key."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._spans: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        """The keys change with the focus."""
        self.screen.bindings_updated_signal.subscribe(self, lambda screen: self.refresh())

    def render_line(self, y: int) -> Strip:
        """The line."""
        width = self.size.width
        self._spans = []
        line: list[Segment] = [Segment(" ")]
        used = 1
        for action, key, description in self._active():
            length = cell_len(key) + 1 + cell_len(description)
            if used + length > width:
                break
            line += [Segment(key, KEY), Segment(f" {description}  ", MUTED)]
            self._spans.append((used, used + length, action))
            used += length + 2
        return Strip(line).crop(0, width).adjust_cell_length(width).apply_style(self.rich_style)

    def _active(self) -> list[tuple[str, str, str]]:
        """Action, key and description; the focused pane's first."""
        focused = self.screen.focused
        seen: dict[str, tuple[str, str, str]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            taken = focused is not None and focused.check_consume_key(binding.key, None)
            if binding.show and active.enabled and not taken and binding.action not in seen:
                key = binding.key_display or key_name(binding.key)
                seen[binding.action] = (binding.action, key, binding.description)
        return list(seen.values())

    async def on_click(self, event: events.Click) -> None:
        """Do what the key would."""
        for start, end, action in self._spans:
            if start <= event.x < end:
                await self.app.run_action(action, default_namespace=self.screen.focused or self.screen)
