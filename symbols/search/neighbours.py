"""Names spelled nearly like a query: of about its length, and at most two typos away from it.

Letter pairs say too little about a short name: two typos spoil most of what it has. But short names are few, so a
query is compared with all of about its length.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from rapidfuzz import process
from rapidfuzz.distance import OSA

from symbols.search import costs

_LONGEST = 10
"""Longer queries have pairs enough, and there are too many names of their length."""
_TYPOS = 2


class Neighbours:
    """Names in runs of equal length, each in the order of the alphabet, as ``standing.by_preference`` leaves them."""

    def __init__(self, names: Sequence[str], runs: Sequence[tuple[int, int]]) -> None:
        """Take over the names.

        Args:
            names: The sorted names.
            runs: Where each run of names of the same length begins, and that length.
        """
        self._names = names
        bounds = [*(begin for begin, _ in runs), len(names)]
        self._runs = [(begin, end, length) for (begin, length), end in zip(runs, bounds[1:], strict=True)]

    def same(self, word: str) -> list[int]:
        """The places of the names that are the word itself."""
        found = []
        for begin, end, length in self._runs:
            if length == len(word):
                place = bisect_left(self._names, word, begin, end)
                while place < end and self._names[place] == word:
                    found.append(place)
                    place += 1
        return found

    def near(self, word: str) -> list[int]:
        """The places of the names that are the word with at most two typos; for short words that allow typos."""
        if not costs.allows_typos(word) or len(word) > _LONGEST:
            return []
        return [
            begin + index
            for begin, end, length in self._runs
            if abs(length - len(word)) <= _TYPOS
            for _, _, index in process.extract(
                word, self._names[begin:end], scorer=OSA.distance, processor=None, score_cutoff=_TYPOS, limit=None
            )
        ]
