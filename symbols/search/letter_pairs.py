"""Which names are worth a closer look: a count of what each lacks of a query, for all names at once.

Every letter of a query asks something of a name: that it holds this letter right after the one before, or at the start
of a word (where a reader's eye jumps to). A name that matches fails few of these requirements, however the query
departs from it: a word left out fails none, a jump inside a word one, a typo two or three. So the names are sorted by
the number of failures, and only the first thousand or so are aligned letter by letter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

from symbols import bit_sets
from symbols.search import costs

_MOST_FAILURES = 7
"""Two typos fail six requirements at most, and one is left for a jump or another first letter."""


class LetterPairs:
    """For each pair of neighbouring letters the set of names that have it; a name is known by its place in the list."""

    def __init__(self, names: Sequence[str]) -> None:
        """Index the names; takes some 4 us and 140 bytes a name.

        Args:
            names: Lower-case names; of equal ones the earlier are preferred.
        """
        size = len(names)
        self._everything = (1 << size) - 1
        with_word: defaultdict[str, list[int]] = defaultdict(list)
        with_initial: defaultdict[str, list[int]] = defaultdict(list)
        for place, name in enumerate(names):
            for word in name.replace(".", "_").split("_"):
                with_word[word].append(place)
            with_initial[_initial(name)].append(place)
        with_word.pop("", None)  # between two separators, and before the first
        # Far fewer words than names: the pairs are gathered from the words.
        words_with_pair: defaultdict[str, list[list[int]]] = defaultdict(list)
        for word, places in with_word.items():
            for pair in set(map("".join, zip("_" + word, word + "_", strict=True))):
                words_with_pair[pair].append(places)
        self._pairs: dict[str, int] = {}
        self._letters: defaultdict[str, int] = defaultdict(int)
        for pair, lists in words_with_pair.items():
            having = bit_sets.from_members(lists, size)
            self._pairs[pair] = having
            self._letters[pair[1]] |= having
        self._initials = {letter: bit_sets.from_members([places], size) for letter, places in with_initial.items()}

    def candidates(self, words: Sequence[str], limit: int, among: int | None = None) -> tuple[list[int], bool]:
        """The names that fail the fewest requirements, and then those that hold all letters at least.

        Args:
            words: The words of the query, lower-case, none empty.
            limit: How many names to return at most.
            among: The places of the names to look at, as a set; None: all of them.

        Returns:
            The places of the names, and whether none had to be left out for the limit's sake.
        """
        all_letters = self._everything if among is None else among
        failing_at_most = [all_letters] * (_MOST_FAILURES + 1)
        for word in words:
            letters = [self._letters.get(letter, 0) for letter in set(word) - set(costs.SEPARATORS)]
            for having in letters:
                all_letters &= having
            for having in (*self._requirements(word), self._initials.get(_initial(word), 0), *letters):
                for failures in range(_MOST_FAILURES, 0, -1):
                    failing_at_most[failures] = (failing_at_most[failures] & having) | failing_at_most[failures - 1]
                failing_at_most[0] &= having
        growing = [*failing_at_most, failing_at_most[-1] | all_letters]
        found = list(islice(_in_order(growing), limit + 1))
        return found[:limit], len(found) <= limit

    def _requirements(self, word: str) -> Iterator[int]:
        """The names that meet what each letter of a query word asks."""
        pairs = self._pairs
        before = "_"
        for letter in word.replace(".", "_"):
            if letter != "_":
                at_word_start = pairs.get("_" + letter, 0)
                yield at_word_start if before == "_" else at_word_start | pairs.get(before + letter, 0)
            elif before != "_":
                yield pairs.get(before + "_", 0)
            before = letter


def _initial(name: str) -> str:
    return name.lstrip(costs.SEPARATORS)[:1]


def _in_order(growing: Sequence[int]) -> Iterator[int]:
    """The members of sets that each contain the one before, without repeating any."""
    seen = 0
    for bits in growing:
        yield from bit_sets.members(bits ^ seen)
        seen = bits
