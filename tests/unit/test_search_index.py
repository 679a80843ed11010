"""The search over names: what it finds, in which order, and how often what was meant comes first."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbols.search import SearchIndex, costs
from symbols.search.alignment import Lanes, align
from symbols.search.highlight import cheapest_reading
from tests.search_queries import Kind, queries, written_by_people

NAMES = (Path(__file__).parents[1] / "data" / "function_names.txt").read_text().split()
"""A sample of the function names of a 6.18 kernel, with all of a few families."""

names_of_few_letters = st.from_regex(r"_{0,2}[abA]{1,4}([_.][abc]{1,3}){0,3}", fullmatch=True)
words_of_few_letters = st.text(alphabet="abc_.", min_size=1, max_size=10)


@pytest.fixture(scope="module")
def index() -> SearchIndex:
    return SearchIndex(NAMES)


def found(names: list[str], query: str) -> list[str]:
    return [names[row] for row in SearchIndex(names).search(query).rows]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("vfs_read", "vfs_read"),
        ("vfsrd", "vfs_read"),
        ("vfsread", "vfs_read"),
        ("read vfs", "vfs_read"),
        ("VFS_Read", "vfs_read"),
        ("mmfault", "handle_mm_fault"),
        ("hmmf", "handle_mm_fault"),
        ("opnat2", "do_sys_openat2"),
        ("do_sys_opneat2", "do_sys_openat2"),
        ("dosysope", "do_sys_open"),
        ("tcp_sndmsg", "tcp_sendmsg"),
        ("tcp_snedmsg", "tcp_sendmsg"),
        ("kfrae", "kfree"),
        ("schdule", "schedule"),
    ],
)
def test_what_is_meant_comes_first(index: SearchIndex, query: str, first: str) -> None:
    assert NAMES[index.search(query).rows[0]] == first


@pytest.mark.parametrize("kind", Kind)
def test_recall(index: SearchIndex, kind: Kind) -> None:
    asked = queries(written_by_people(NAMES), 350, seed=6)[kind]
    results = [[NAMES[row] for row in index.search(query.text, 10).rows] for query in asked]
    first = sum(names[:1] == [query.expected] for query, names in zip(asked, results, strict=True))
    among_ten = sum(query.expected in names for query, names in zip(asked, results, strict=True))
    assert first >= len(asked) * kind.first / 100
    assert among_ten >= len(asked) * kind.among_ten / 100


def test_the_name_itself_then_beginnings_then_later_words_then_typos() -> None:
    names = ["reap", "xread", "raed", "the_read", "read_more", "reads", "read"]
    assert found(names, "read") == ["read", "reads", "read_more", "the_read", "raed", "xread", "reap"]


def test_ties_go_to_plain_and_short_names() -> None:
    names = ["__SCT__do_thing", "do_thing.isra.0", "__do_thing", "do_thing", "do_thing_twice", "do_thing_once"]
    assert found(names, "do_thing") == [
        "do_thing",
        "__do_thing",
        "do_thing_once",
        "do_thing_twice",
        "do_thing.isra.0",
        "__SCT__do_thing",
    ]


def test_every_word_must_match() -> None:
    names = ["open_file", "file_open", "open_door", "close_file"]
    assert sorted(found(names, "open  file")) == ["file_open", "open_file"]


@pytest.mark.parametrize("query", ["vfs.read", "vfs_read"])
def test_separators_are_alike(query: str) -> None:
    assert found(["vfs_read", "vfsread"], query)[0] == "vfs_read"


def test_without_a_query_all_names_as_they_come() -> None:
    result = SearchIndex(["c", "a", "b"]).search("  ", limit=2)
    assert list(result.rows) == [0, 1]
    assert result.total == 3


def test_the_limit_cuts_the_rows_but_not_the_total() -> None:
    result = SearchIndex(["abc", "abd", "abe"]).search("ab", limit=2)
    assert len(result.rows) == 2
    assert (result.total, result.exhaustive) == (3, True)


def test_the_total_is_not_called_exact_when_names_were_left_out() -> None:
    names = [f"some_name_{number}" for number in range(5_000)]
    result = SearchIndex(names).search("some")
    assert not result.exhaustive
    assert result.total < len(names)


def test_equal_names_are_all_found() -> None:
    assert SearchIndex(["type_show", "other", "type_show"]).search("typeshow").rows == [0, 2]


def test_nothing_is_found_where_nothing_is_alike(index: SearchIndex) -> None:
    assert list(index.search("qqqqzzzz").rows) == []
    assert list(SearchIndex([]).search("abcdefgh").rows) == []
    assert list(SearchIndex([""]).search("a").rows) == []
    assert index.search("täst\x00 ü").total == 0


def test_typos_are_told_of(index: SearchIndex) -> None:
    assert index.search("tcp_snedmsg").approximate
    assert not index.search("tcp_sndmsg").approximate


def test_three_letters_are_taken_literally() -> None:
    assert found(["abd_x", "acb_x"], "abc") == []


@pytest.mark.parametrize("spelling", ["kfrne", "krfee", "kfeee", "kfreee", "kkfee"])
def test_a_short_name_is_found_among_many_that_look_alike(index: SearchIndex, spelling: str) -> None:
    assert "kfree" in [NAMES[row] for row in index.search(spelling, 10).rows]


def test_a_cancelled_search_finds_nothing(index: SearchIndex) -> None:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    assert index.search("vfs_read", cancelled=cancelled).total == 0
    assert asked <= 6, "asked on and on after it said yes"


@given(st.lists(names_of_few_letters, min_size=1, max_size=12), words_of_few_letters)
def test_all_names_at_once_cost_what_each_costs_alone(names: list[str], word: str) -> None:
    names = [name.lower() for name in names]
    alone = {lane: reading[0] for lane, name in enumerate(names) if (reading := cheapest_reading(word, name))}
    assert align(word, Lanes(names), lambda: False).costs == alone


@given(st.data())
def test_letters_in_their_order_always_match(data: st.DataObject) -> None:
    row = data.draw(st.integers(0, 99))
    name = NAMES[row]
    query = "".join(data.draw(st.lists(st.sampled_from(list(enumerate(name))), min_size=1, unique=True).map(_in_place)))
    assert row in SearchIndex(NAMES[:100]).search(query).rows


def _in_place(letters: list[tuple[int, str]]) -> list[str]:
    return [letter for _, letter in sorted(letters)]


@given(st.lists(names_of_few_letters, min_size=1, max_size=12), words_of_few_letters)
def test_rows_come_by_cost(names: list[str], word: str) -> None:
    result = SearchIndex(names).search(word)
    readings = [cheapest_reading(word, names[row].lower()) for row in result.rows]
    assert [reading[0] for reading in readings if reading] == list(result.costs) == sorted(result.costs)


def test_a_typo_costs_more_than_a_finished_jump() -> None:
    """What the ranking rests on, should somebody turn the screws of the table."""
    assert 0 < costs.NEXT_WORD < costs.LATER_WORD < costs.SKIP_INSIDE
    assert costs.END_IN_LAST_WORD < costs.END_EARLIER < costs.START_AT_WORD < costs.START_INSIDE
