"""The search over names: from a few letters, mistyped or not, to the rows that a person means."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import islice

from symbols import bit_sets
from symbols.search.alignment import Alignment, Lanes, align
from symbols.search.letter_pairs import LetterPairs
from symbols.search.neighbours import Neighbours
from symbols.search.standing import by_preference

_MOST_ALIGNED = 1_400
_LETTERS_ALIGNED = 9_000
"""Names aligned per search, times letters of the query: what fits into a few milliseconds."""
_LEAST_ALIGNED = 400

_TYPO_MARGIN = 6
"""A name that matches only with typos is left out when the best match costs this much less."""


@dataclasses.dataclass(frozen=True, slots=True)
class SearchResult:
    """What a query found.

    Attributes:
        rows: Rows of the names, best first, at most as many as were asked for.
        costs: The cost of each of these rows (see ``costs``): 0 is the name itself.
        total: How many names match.
        exhaustive: Whether ``total`` is exact; otherwise at least so many match, and the worst were not looked at.
        approximate: Whether even the best match has a typo in it.
    """

    rows: Sequence[int]
    costs: Sequence[int]
    total: int
    exhaustive: bool = True
    approximate: bool = False


_NOTHING = SearchResult((), (), 0)


class SearchIndex:
    """An index over a list of names, searched by one thread at a time.

    A search takes two steps: ``LetterPairs`` and ``Neighbours`` pick the names worth a closer look, ``align`` prices
    these.
    Nothing is kept between searches, so that a result depends on the query alone.

    Attributes:
        order: The rows of the names, those that people mean first. A place is a position in this list.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Index the names; a worker's job for some 0.3 s per 60,000.

        Args:
            names: Upper and lower case are taken alike. Rows are positions in this list.
        """
        lower = [name if name.islower() else name.lower() for name in names]
        self.order, runs = by_preference(lower)
        self._names = [lower[row] for row in self.order]
        self._neighbours = Neighbours(self._names, runs)
        self._pairs = LetterPairs(self._names)

    def search(
        self,
        query: str,
        limit: int = 200,
        cancelled: Callable[[], bool] = lambda: False,
        among: int | None = None,
    ) -> SearchResult:
        """Find the names that a query means.

        Args:
            query: Any number of words in any order, all of which must match; without any, all names match as they come,
                or, of a part of them, those that people mean first.
            limit: How many rows to return at most.
            cancelled: Asked every few hundred microseconds; once it says yes the search ends and finds nothing.
            among: The places of the names to look at, as a set of bits (see ``bit_sets``); None: all of them.
        """
        words = query.lower().split()
        if not words and among is not None:
            rows_of_part = [self.order[place] for place in islice(bit_sets.members(among), limit)]
            return SearchResult(rows_of_part, (0,) * len(rows_of_part), among.bit_count())
        if not words:
            rows = range(min(limit, len(self.order)))
            return SearchResult(rows, (0,) * len(rows), len(self.order))
        letters = sum(map(len, words))
        budget = min(_MOST_ALIGNED, max(_LEAST_ALIGNED, _LETTERS_ALIGNED // letters))
        places, exhaustive = self._pairs.candidates(words, budget, among)
        if len(words) == 1:
            also = {*self._neighbours.same(words[0]), *self._neighbours.near(words[0])}.difference(places)
            places += sorted(place for place in also if among is None or among >> place & 1)
        if cancelled() or not places:
            return _NOTHING
        lanes = Lanes([self._names[place] for place in places])
        alignment = _join([align(word, lanes, cancelled) for word in words])
        if cancelled():
            return _NOTHING
        worst = min(alignment.costs.values(), default=0) + _TYPO_MARGIN
        ranked = sorted(
            (cost, lane not in alignment.in_order, places[lane])
            for lane, cost in alignment.costs.items()
            if cost <= worst or lane in alignment.in_order
        )
        best = ranked[:limit]
        return SearchResult(
            rows=[self.order[place] for _, _, place in best],
            costs=[cost for cost, _, _ in best],
            total=len(ranked),
            exhaustive=exhaustive,
            approximate=bool(ranked) and ranked[0][1],
        )


def _join(alignments: list[Alignment]) -> Alignment:
    """The names that match every word, at the sum of their costs."""
    costs = alignments[0].costs
    in_order = alignments[0].in_order
    for alignment in alignments[1:]:
        costs = {lane: cost + alignment.costs[lane] for lane, cost in costs.items() if lane in alignment.costs}
        in_order &= alignment.in_order
    return Alignment(costs, in_order)
