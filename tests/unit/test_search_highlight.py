"""The letters of a name that a query has found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbols.search import SearchIndex, highlight
from tests.search_queries import Kind, queries, written_by_people

NAMES = (Path(__file__).parents[1] / "data" / "function_names.txt").read_text().split()


def marked(query: str, name: str) -> str:
    positions = set(highlight(query, name))
    return "".join(letter.upper() if at in positions else letter for at, letter in enumerate(name))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("read", "do_READ_it_already"),
        ("ia", "do_read_It_Already"),
        ("already read", "do_READ_it_ALREADY"),
        ("raed", "do_READ_it_already"),
        ("rxad", "do_ReAD_it_already"),
        ("doread", "DO_READ_it_already"),
        ("do_read", "DO_READ_it_already"),
        ("do.read", "DO_READ_it_already"),
    ],
)
def test_letters_found(query: str, expected: str) -> None:
    assert marked(query, expected.lower()) == expected


def test_case_is_ignored() -> None:
    assert highlight("zstd", "ZSTD_copy") == (0, 1, 2, 3)


@pytest.mark.parametrize("query", ["", " ", "xyz", "read xyz"])
def test_nothing_to_mark(query: str) -> None:
    assert highlight(query, "do_read") == ()


@given(st.text("abc_.", min_size=1, max_size=3), st.text("abc_.", max_size=12))
def test_short_words_are_found_letter_for_letter(word: str, name: str) -> None:
    """Without typos what is marked spells the word, and every name that holds its letters is marked."""
    positions = highlight(word, name)
    rest = iter(name.replace(".", "_"))
    if all(letter in rest for letter in word.replace(".", "_")):
        assert [name[at].replace(".", "_") for at in positions] == list(word.replace(".", "_"))
    else:
        assert positions == ()


@pytest.mark.parametrize("kind", Kind)
def test_every_name_found_has_marked_letters(kind: Kind) -> None:
    index = SearchIndex(NAMES)
    for query in queries(written_by_people(NAMES), 25, seed=3)[kind]:
        for row in index.search(query.text, 10).rows:
            positions = highlight(query.text, NAMES[row])
            assert positions, (query.text, NAMES[row])
            assert list(positions) == sorted(set(positions))
            assert positions[-1] < len(NAMES[row])
