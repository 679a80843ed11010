"""The cost of a query against many names at once.

The names are laid end to end, a bit a letter, so that one integer says for every name at the same time which letters
are a ``t``, or how far a query has been read. Reading one more letter of the query is then a handful of integer
operations for all names together: some thirty times faster than a table per name, and exact. The rules are those of
``costs``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import accumulate

from symbols.bit_sets import members
from symbols.search import costs


class Lanes:
    """Names laid end to end: a lane of bits per name, its first letter lowest, an end mark above its last letter."""

    def __init__(self, names: Sequence[str]) -> None:
        """Lay out the names.

        Args:
            names: Lower-case names without line breaks; all letters beyond Latin-1 are taken for the same one.
        """
        text = ("\n".join(names) + "\n").encode("latin-1", "replace")
        self._reversed = text[::-1]
        self._masks: dict[str, int] = {}
        everything = (1 << len(text)) - 1
        self.ends = self._mask("\n")
        self.letters = everything ^ self.ends
        breaks = self._mask("\n" + costs.SEPARATORS)
        self.name_starts = (self.ends << 1 | 1) & everything
        self.word_starts = (breaks << 1 | 1) & everything & ~breaks
        # Of several separators in a row the last closes the word, so that "next word" is one step away.
        self.word_ends = breaks & (self.word_starts >> 1) | self.ends
        # Complements are kept, not computed: Python's integers are slow at negative numbers.
        self.not_word_starts = everything ^ self.word_starts
        self._not_word_ends = everything ^ self.word_ends
        after_first = self.reach(self.word_starts) << 1
        self.first_words = self.word_starts & ~after_first
        ends = accumulate((len(name) + 1 for name in names), initial=-1)
        self._lane_of_end = {end: lane for lane, end in enumerate(ends, -1)}

    def _mask(self, letters: str) -> int:
        table = bytearray(b"0") * 256
        for letter in letters.encode("latin-1", "replace"):
            table[letter] = 0x31
        return int(self._reversed.translate(table), 2)

    def mask(self, letter: str) -> int:
        """The positions where a letter stands; all separators are one letter."""
        letters = costs.SEPARATORS if letter in costs.SEPARATORS else letter
        if letters not in self._masks:
            self._masks[letters] = self._mask(letters)
        return self._masks[letters]

    def reach(self, positions: int) -> int:
        """All positions of a lane from the lowest of some letter positions on, the end mark left out.

        Subtracting from the end mark borrows through the zeros below it and stops at the lowest bit: one subtraction
        fills every lane, and none borrows from its neighbour.
        """
        return ((self.ends - positions) | positions) & self.letters

    def word_ends_after(self, positions: int) -> int:
        """The end of the word that each position is in, by the same borrowing; an end is its own."""
        untouched = self.word_ends & (self.word_ends - (positions & self._not_word_ends))
        return (self.word_ends ^ untouched) | (positions & self.word_ends)

    def lanes(self, ends: int) -> list[int]:
        """The numbers of the names whose end marks are given."""
        return [self._lane_of_end[position] for position in members(ends)]


@dataclasses.dataclass(frozen=True, slots=True)
class Alignment:
    """How a query word fits some names, these given by their numbers.

    Attributes:
        costs: The cost for each name that matches.
        in_order: Those that hold all letters of the word in their order: no typo had to be forgiven.
    """

    costs: dict[int, int]
    in_order: frozenset[int]


def align(word: str, lanes: Lanes, cancelled: Callable[[], bool]) -> Alignment:
    """Read a query word along all names.

    Args:
        word: One lower-case word of the query, not empty.
        lanes: The names.
        cancelled: Asked once per letter; the answer is then worthless, but quick.
    """
    budget = costs.budget(word)
    ordered = lanes.name_starts  # where reading may go on if letters are only ever left out
    states = [0] * (budget + 1)  # by cost: where reading may go on
    states[0] = lanes.name_starts | lanes.first_words
    before = states
    mask_before = 0
    for index, letter in enumerate(word):
        if cancelled():
            return Alignment({}, frozenset())
        mask = lanes.mask(letter)
        after = _read_letter(lanes, states, mask, budget, is_first=index == 0, is_separator=letter in costs.SEPARATORS)
        if costs.allows_typos(word):
            _forgive(lanes, states, after, budget)
            if index:
                swapped = mask & (mask_before >> 1)
                for cost in range(budget + 1 - costs.TRANSPOSED):
                    after[cost + costs.TRANSPOSED] |= (before[cost] & swapped) << 2
        ordered = (lanes.reach(ordered & lanes.letters) & mask) << 1
        before, states, mask_before = states, after, mask
    ordered_ends = _ends_of(lanes, ordered)
    return Alignment(_finish(lanes, states, ordered_ends, budget), frozenset(lanes.lanes(ordered_ends)))


def _read_letter(
    lanes: Lanes, states: list[int], mask: int, budget: int, *, is_first: bool, is_separator: bool
) -> list[int]:
    """All ways to find the next letter of the query in the names."""
    after = [0] * (budget + 1)
    later_word, inside = (
        (costs.START_AT_WORD, costs.START_INSIDE) if is_first else (costs.LATER_WORD, costs.SKIP_INSIDE)
    )
    word_mask = mask & (lanes.word_ends if is_separator else lanes.word_starts)
    for cost, here in enumerate(states):
        if not here:
            continue
        after[cost] |= (here & mask) << 1
        if cost + costs.NEXT_WORD <= budget and not is_first:
            # At the start of a word nothing of it has been read: to go on to the next leaves out a whole word.
            ends = lanes.word_ends_after(here & lanes.not_word_starts)
            found = ends if is_separator else (ends & lanes.letters) << 1
            after[cost + costs.NEXT_WORD] |= (found & word_mask) << 1
        if cost + later_word <= budget:
            ahead = lanes.reach(here & lanes.letters)
            after[cost + later_word] |= (ahead & word_mask) << 1
            if cost + inside <= budget:
                after[cost + inside] |= (ahead & mask) << 1
    return after


def _forgive(lanes: Lanes, states: list[int], after: list[int], budget: int) -> None:
    """Let the letter just read be a wrong or a superfluous one."""
    for cost, here in enumerate(states[: budget + 1 - costs.SUBSTITUTED]):
        if here:
            after[cost + costs.SUBSTITUTED] |= (here & lanes.letters) << 1
            if cost + costs.EXTRA <= budget:
                after[cost + costs.EXTRA] |= here


def _finish(lanes: Lanes, states: list[int], ordered_ends: int, budget: int) -> dict[int, int]:
    """Price what the query leaves unread of each name, and give each its cheapest reading."""
    totals = [0] * (budget + 2)
    for cost, here in enumerate(states):
        if not here:
            continue
        totals[cost] |= here & lanes.ends
        if cost + costs.END_IN_LAST_WORD <= budget:
            totals[cost + costs.END_IN_LAST_WORD] |= lanes.word_ends_after(here) & lanes.ends
        if cost + costs.END_EARLIER <= budget:
            totals[cost + costs.END_EARLIER] |= _ends_of(lanes, here)
    totals[budget + 1] = ordered_ends
    result: dict[int, int] = {}
    settled = 0
    for cost, ends in enumerate(totals):
        for lane in lanes.lanes(ends & ~settled):
            result[lane] = cost
        settled |= ends
    return result


def _ends_of(lanes: Lanes, positions: int) -> int:
    """The end marks of the lanes that hold any of these positions."""
    untouched = lanes.ends & (lanes.ends - (positions & lanes.letters))
    return (lanes.ends ^ untouched) | (positions & lanes.ends)
