"""What a match costs: the one table that says which of two names is the better answer to a query.

A query is read letter by letter along a name. The ideal is the name itself, letter for letter, at cost 0; whatever
departs from it is paid for, and the cheapest way to read the query is the match. Small whole numbers, because
``alignment`` keeps one set of names per cost; ``highlight`` follows the same table for a single name.
"""

from __future__ import annotations

SEPARATORS = "_."
"""What stands between the words of a name. A query may use either for the other."""

START_AT_WORD = 3
"""The query begins at a later word (the first word after leading underscores costs nothing)."""
START_INSIDE = 4
"""The query begins in the middle of a word."""

NEXT_WORD = 1
"""The rest of a word is left out and the next one entered at its first letter: ``tcpsend`` in ``tcp_sendmsg``."""
LATER_WORD = 2
"""The same, with whole words left out between: ``tcpmsg`` in ``tcp_v4_msg``."""
SKIP_INSIDE = 4
"""Letters are left out and the query goes on in the middle of a word: ``rd`` in ``read``."""

TRANSPOSED = 3
"""Two neighbouring letters have changed places."""
SUBSTITUTED = 4
"""One letter stands for another."""
EXTRA = 5
"""The query holds a letter that the name does not."""

END_IN_LAST_WORD = 1
"""The name's last word is not finished: the user may still be typing it."""
END_EARLIER = 2
"""The name has more words than the query."""

TYPOS_FROM = 4
"""Shorter queries are taken literally: with a letter wrong, three letters would match half the kernel."""
_TWO_TYPOS_FROM = 8
_BUDGET_LITERAL = 8
_BUDGET_ONE_TYPO = 10
_BUDGET_TWO_TYPOS = 13


def allows_typos(word: str) -> bool:
    """Whether wrong letters are forgiven in a query word of this length."""
    return len(word) >= TYPOS_FROM


def budget(word: str) -> int:
    """The most that a match of this query word may cost.

    A name that holds all letters in their order matches at any cost; it is then given one more than this.
    """
    if len(word) >= _TWO_TYPOS_FROM:
        return _BUDGET_TWO_TYPOS
    return _BUDGET_ONE_TYPO if allows_typos(word) else _BUDGET_LITERAL
