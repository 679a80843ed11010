"""What is wrong with a filter, and at which character."""

from __future__ import annotations

from explorer.errors import UsageError


class FilterError(UsageError):
    """A filter cannot be understood, or means nothing for its probe.

    ``message`` is what happened and, on two lines of its own, the filter with the place underlined.

    Attributes:
        what: What happened, one line.
        text: The filter.
        start: The first character that is meant, counted from 0.
        end: One past the last.
    """

    def __init__(self, what: str, text: str, start: int, end: int, hint: str = "") -> None:
        self.what = what
        self.text = text
        self.start = start
        self.end = max(end, start + 1)
        super().__init__(f"{what}\n    {shown(text)}\n    {self.carets}", hint)

    @property
    def carets(self) -> str:
        """A line that underlines the place when it is put under ``shown(text)``."""
        return " " * self.start + "^" + "~" * (self.end - self.start - 1)


def shown(text: str) -> str:
    """A filter as it can be printed, one cell for each of its characters."""
    return "".join(character if character.isprintable() else "?" for character in text)
