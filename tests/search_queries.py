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

    A text that abbreviates forty names alike is one query of the set, as likely as any other, not forty.

    Args:
        names: The names to choose from.
        count: How many of each kind.
        seed: Equal seeds give equal queries.
    """
    chance = random.Random(seed)
    typos: dict[Kind, Callable[[str], str]] = {
        Kind.TRANSPOSITION: lambda name: _transpose(chance, name),
        Kind.SUBSTITUTION: lambda name: _substitute(chance, name),
        Kind.TWO_TYPOS: lambda name: _any_typo(chance, _any_typo(chance, name)),
        Kind.BEGINNING: lambda name: _transpose(chance, name[: len(name) * 7 // 10]),
    }
    asked = {kind: [Query(typo(name), name) for name in chance.choices(names, k=count)] for kind, typo in typos.items()}
    for kind in ABBREVIATIONS:
        fitting = abbreviated(kind, names)
        texts = chance.choices(list(fitting), k=count)
        asked[kind] = [Query(text, chance.choice(fitting[text])) for text in texts]
    return asked


def queries_by_name(kind: Kind, names: Sequence[str], count: int, seed: int) -> tuple[list[Query], float, float]:
    """Abbreviations of names that are each as likely as any other: texts that fit many names come up often.

    Returns:
        The queries; and the most that any search can reach, which cannot know which of the names that fit a text
        equally well is meant: per cent first, and among the first ten.
    """
    chance = random.Random(seed)
    fitting = abbreviated(kind, names)
    made = [Query(text, name) for text, meant in fitting.items() for name in meant]
    asked = chance.choices(made, k=count)
    rivals = [len(fitting[query.text]) for query in asked]
    return asked, 100 * sum(1 / n for n in rivals) / count, 100 * sum(min(1, 10 / n) for n in rivals) / count


def abbreviated(kind: Kind, names: Sequence[str]) -> dict[str, list[str]]:
    """All texts of one of the ``ABBREVIATIONS`` that can be made of names of three words at least, with these names."""
    fitting: dict[str, list[str]] = {}
    for name in names:
        words = _words(name)
        if len(words) >= 3:
            for text in dict.fromkeys(ABBREVIATIONS[kind](words)):
                fitting.setdefault(text, []).append(name)
    return fitting


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


def _word_dropped(words: list[str]) -> list[str]:
    return ["_".join(words[:index] + words[index + 1 :]) for index in range(len(words))]


def _three_letters(words: list[str]) -> list[str]:
    return ["".join(word[:3] for word in words)]


ABBREVIATIONS: dict[Kind, Callable[[list[str]], list[str]]] = {
    Kind.WORD_DROPPED: _word_dropped,
    Kind.THREE_LETTERS: _three_letters,
}
"""Kinds whose texts often fit several names equally well."""
