"""Completing the name that is being typed in a filter."""

from __future__ import annotations

import dataclasses
import os
import re

from explorer.session.filters.scope import Scope

_WORD = re.compile(r"[$]?[A-Za-z_]\w*\Z", re.ASCII)
_TEXT = re.compile(r'"(?:\\.|[^"\\])*("|\Z)', re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class Completion:
    """What the word before the cursor may become.

    Attributes:
        start: Where the word begins.
        word: As far as it is typed.
        candidates: Names that begin so, the probe's values first.
    """

    start: int
    word: str
    candidates: tuple[str, ...]

    @property
    def insertion(self) -> str:
        """What to put in place of the word: what all candidates begin with, or the first where that is no more."""
        common = os.path.commonprefix(self.candidates)  # noqa: RUF071 - of letters, as is wanted here
        return common if len(common) > len(self.word) or not self.candidates else self.candidates[0]


def complete(text: str, cursor: int, scope: Scope) -> Completion | None:
    """The completion at a place; None where no name is being typed.

    Args:
        text: The filter so far.
        cursor: A place in it.
        scope: The names of its probe.
    """
    before = text[:cursor]
    if any(not match[1] for match in _TEXT.finditer(before)):
        return None  # in the middle of a text
    word = _WORD.search(before)
    if word is None:
        return None
    return Completion(word.start(), word[0], tuple(scope.completions(word[0])))
