"""Queries as people mistype and abbreviate them, made from names by a seeded generator."""

from __future__ import annotations

import dataclasses
import enum
import random
import re
import string
from collections.abc import Callable, Sequence


class Kind(enum.Enum):
    """How a query departs from the name it means, with the recall asked for: first, and among the first ten."""

    TRANSPOSITION = ("one transposition", 97, 99)
    SUBSTITUTION = ("one substitution", 97, 99)
    TWO_TYPOS = ("two typos", 95, 99)
    WORD_DROPPED = ("one word dropped", 65, 99)
    THREE_LETTERS = ("three letters of each word", 95, 99)
    BEGINNING = ("first 70%, a transposition", 65, 97)

    def __init__(self, title: str, first: int, among_ten: int) -> None:
        self.title = title
        self.first = first
        self.among_ten = among_ten


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """What is typed, and the name that is meant."""

    text: str
    expected: str


_GENERATED = re.compile(
    r"__(SCT|SCK|probestub|traceiter|bpf_trace|x64|ia32)_|(perf_trace|trace_event_raw|trace_raw_output)_"
)


def written_by_people(names: Sequence[str]) -> list[str]:
    """The names worth typing: of two words and eight letters at least, made by no macro and no compiler pass."""
    return [
        name
        for name in names
        if len(name) >= 8 and "_" in name.strip("_") and "." not in name and not _GENERATED.match(name)
    ]


def queries(names: Sequence[str], count: int, seed: int) -> dict[Kind, list[Query]]:
    """Make queries of each kind.

    Args:
        names: The names to choose from.
        count: How many of each kind.
        seed: Equal seeds give equal queries.
    """
    chance = random.Random(seed)
    longer = [name for name in names if len(_words(name)) >= 3]
    ways: dict[Kind, tuple[Sequence[str], Callable[[random.Random, str], str]]] = {
        Kind.TRANSPOSITION: (names, _transpose),
        Kind.SUBSTITUTION: (names, _substitute),
        Kind.TWO_TYPOS: (names, lambda chance, name: _any_typo(chance, _any_typo(chance, name))),
        Kind.WORD_DROPPED: (longer, _drop_word),
        Kind.THREE_LETTERS: (longer, lambda _, name: "".join(word[:3] for word in _words(name))),
        Kind.BEGINNING: (names, lambda chance, name: _transpose(chance, name[: len(name) * 7 // 10])),
    }
    return {
        kind: [Query(way(chance, name), name) for name in (chance.choice(pool) for _ in range(count))]
        for kind, (pool, way) in ways.items()
    }


def _words(name: str) -> list[str]:
    return [word for word in name.split("_") if word]


def _transpose(chance: random.Random, name: str) -> str:
    at = chance.choice([index for index in range(len(name) - 1) if name[index] != name[index + 1]])
    return name[:at] + name[at + 1] + name[at] + name[at + 2 :]


def _substitute(chance: random.Random, name: str) -> str:
    at = chance.randrange(len(name))
    letter = chance.choice([letter for letter in string.ascii_lowercase if letter != name[at]])
    return name[:at] + letter + name[at + 1 :]


def _any_typo(chance: random.Random, name: str) -> str:
    return chance.choice((_transpose, _substitute))(chance, name)


def _drop_word(chance: random.Random, name: str) -> str:
    words = _words(name)
    del words[chance.randrange(len(words))]
    return "_".join(words)
