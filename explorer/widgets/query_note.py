"""What there is to say of a query, right under it: what could not be understood, or how its answer is to be read."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from explorer.session.finding import Found
from explorer.widgets.palette import MUTED, WARNING


class QueryNote(Static):
    """A few lines, or none at all."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self.display = False
        self._said = Text()

    def show(self, found: Found, width: int) -> None:
        """Say what there is to say of this answer.

        A term that is still being typed gets a quiet word; a wrong one is pointed at.

        Args:
            found: The answer.
            width: Of the search box above, which shows the end of what is too long for it.
        """
        text = Text(overflow="ellipsis")
        if found.problems:
            problem = found.problems[0]
            if not problem.unfinished:
                hidden = max(0, len(found.query) + 1 - width)
                text.append(f"{' ' * max(0, problem.at - hidden)}^\n{problem.message}: ", WARNING)
            text.append(problem.hint, MUTED)
        else:
            text.append("\n".join(found.notes), MUTED)
        if text != self._said:  # saying it again would lay the screen out anew
            self._said = text
            self.update(text)
            self.display = bool(text)
