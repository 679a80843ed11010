"""Which letters of one name a query has found: the cheapest reading, followed step by step."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from symbols.search import costs

_Trail = tuple["_Trail", int] | None
"""The positions found so far, last first."""


def highlight(query: str, name: str) -> tuple[int, ...]:
    """The positions in a name of the letters that a query has found, in ascending order.

    Args:
        query: As given to the search: words in any order.
        name: One of the names found.

    Returns:
        The positions; empty for a name that does not match.
    """
    found: set[int] = set()
    for word in query.lower().split():
        reading = cheapest_reading(word, name.lower())
        if reading is None:
            return ()
        found.update(reading[1])
    return tuple(sorted(found))


def cheapest_reading(word: str, name: str) -> tuple[int, list[int]] | None:
    """Read a query word along one name at the lowest cost.

    Args:
        word: One lower-case word of a query.
        name: A lower-case name.

    Returns:
        The cost and the positions of the letters found, ascending; None for a name that does not match. A name that
        matches only by leaving out letters at a cost beyond ``costs.budget`` is given one more than that.
    """
    reading = _Reading(word.translate(_ONE_SEPARATOR), name.translate(_ONE_SEPARATOR))
    budget = costs.budget(word)
    best = reading.cheapest(budget, typos=costs.allows_typos(word))
    if best is None:
        best = reading.cheapest(costs.START_INSIDE + costs.SKIP_INSIDE * len(word) + costs.END_EARLIER, typos=False)
        if best is None:
            return None
    return min(best[0], budget + 1), best[1]


_ONE_SEPARATOR = str.maketrans(costs.SEPARATORS, costs.SEPARATORS[0] * len(costs.SEPARATORS))


class _Reading:
    """All readings of one word along one name. A state: cost, letters read, where in the name to go on, the trail."""

    def __init__(self, word: str, name: str) -> None:
        self._word = word
        self._name = name
        separator = costs.SEPARATORS[0]
        self._breaks = [letter == separator for letter in name] + [True]
        self._starts = [not here and (at == 0 or self._breaks[at - 1]) for at, here in enumerate(self._breaks)]
        self._ends = [here and (at == len(name) or self._starts[at + 1]) for at, here in enumerate(self._breaks)]

    def cheapest(self, budget: int, *, typos: bool) -> tuple[int, list[int]] | None:
        """Try the cheapest state first, so that the first one to finish is the best."""
        word, name = self._word, self._name
        heap: list[tuple[int, int, int, int, _Trail]] = [(0, 0, 0, 0, None)]
        if True in self._starts:
            heap.append((0, 0, self._starts.index(True), 1, None))
        done: set[tuple[int, int]] = set()
        count = 2
        while heap:
            cost, unread, at, _, trail = heapq.heappop(heap)
            read = -unread
            if read > len(word):
                return cost, _positions(trail)
            if (read, at) in done:
                continue
            done.add((read, at))
            for step, letters, to, hits in self._steps(read, at, typos=typos):
                if cost + step <= budget and to <= len(name):
                    onward = trail
                    for hit in hits:
                        onward = (onward, hit)
                    heapq.heappush(heap, (cost + step, -(read + letters), to, count, onward))
                    count += 1
        return None

    def _steps(self, read: int, at: int, *, typos: bool) -> Iterator[tuple[int, int, int, tuple[int, ...]]]:
        """What may follow a state: the cost, the letters of the word it takes, where it leads, the letters it finds."""
        word, name = self._word, self._name
        if read == len(word):
            yield self._rest(at), 1, len(name), ()
            return
        letter = word[read]
        at_mark = self._ends if letter == costs.SEPARATORS[0] else self._starts
        to = name.find(letter, at)
        while to >= 0:
            yield self._jump(at, to, is_first=read == 0, to_mark=at_mark[to]), 1, to + 1, (to,)
            to = name.find(letter, to + 1)
        if typos:
            if at < len(name):
                yield costs.SUBSTITUTED, 1, at + 1, ()
            yield costs.EXTRA, 1, at, ()
            pair = word[read : read + 2]
            if len(pair) == 2 and name[at : at + 2] == pair[::-1]:
                yield costs.TRANSPOSED, 2, at + 2, (at, at + 1)

    def _jump(self, at: int, to: int, *, is_first: bool, to_mark: bool) -> int:
        if to == at:
            return 0
        if is_first:
            return costs.START_AT_WORD if to_mark else costs.START_INSIDE
        if not to_mark:
            return costs.SKIP_INSIDE
        if self._starts[at]:
            return costs.LATER_WORD
        end = self._ends.index(True, at)
        return costs.NEXT_WORD if to in (end, end + 1) else costs.LATER_WORD

    def _rest(self, at: int) -> int:
        if at == len(self._name):
            return 0
        end = self._ends.index(True, at)
        return costs.END_IN_LAST_WORD if end == len(self._name) else costs.END_EARLIER


def _positions(trail: _Trail) -> list[int]:
    positions = []
    while trail is not None:
        trail, position = trail
        positions.append(position)
    return positions[::-1]
