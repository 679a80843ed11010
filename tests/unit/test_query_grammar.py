"""Queries as they are written: words, terms, and what is said of those that make no sense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symbols.query import Property, parse
from symbols.query.terms import Arguments, Condition, InModule, Is, Named, Returns, Takes
from symbols.query.type_names import TypePattern

BIO = TypePattern("bio", None, None)
POINTER_TO_BIO = TypePattern("bio", "struct", 1)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("is:probeable", Is(Property.PROBEABLE)),
        ("IS:Armed", Is(Property.ARMED)),
        ("tcp_*", Named("tcp_*")),
        ("*.isra.?", Named("*.isra.?")),
        ("mod:ext4", InModule("ext4")),
        ("mod:NF-*", InModule("nf_*")),
        ("args:3", Arguments(3, 3)),
        ("args:=3", Arguments(3, 3)),
        ("args:>6", Arguments(7, 255)),
        ("args:>=6", Arguments(6, 255)),
        ("args:<2", Arguments(0, 1)),
        ("args:<=2", Arguments(0, 2)),
        ("returns:errptr", Returns(None)),
        ("takes:bio", Takes(BIO)),
        ('takes:"bio"', Takes(BIO)),
        ('takes:"struct bio *"', Takes(POINTER_TO_BIO)),
        ("takes:'const struct bio*const'", Takes(POINTER_TO_BIO)),
        ("takes:struct bio *", Takes(POINTER_TO_BIO)),
        ("takes:bio **", Takes(TypePattern("bio", None, 2))),
        ("returns:int", Returns(TypePattern("int", "", 0))),
        ("returns:void", Returns(TypePattern("void", "", 0))),
        ("returns:long unsigned int", Returns(TypePattern("unsigned long", "", 0))),
        ("returns:unsigned", Returns(TypePattern("unsigned int", "", 0))),
        ("returns:_Bool", Returns(TypePattern("bool", "", 0))),
        ("takes:short int *", Takes(TypePattern("short", "", 1))),
        ("takes:unsigned long long", Takes(TypePattern("unsigned long long", "", 0))),
        ("takes:enum req_op", Takes(TypePattern("req_op", "enum", 0))),
    ],
)
def test_terms(text: str, condition: Condition) -> None:
    query = parse(text)
    assert (query.words, query.problems) == ("", ())
    assert [(term.condition, term.text, term.negated) for term in query.terms] == [(condition, text, False)]


@pytest.mark.parametrize(
    "text", ["vfs takes:struct file * is:probeable read", "is:probeable vfs read takes:struct file *"]
)
def test_words_and_terms_in_any_order(text: str) -> None:
    query = parse(text)
    assert query.words == "vfs read"
    assert {term.condition for term in query.terms} == {Takes(TypePattern("file", "struct", 1)), Is(Property.PROBEABLE)}


@pytest.mark.parametrize("sign", "-!")
def test_opposites(sign: str) -> None:
    (term,) = parse(f"{sign}is:refused").terms
    assert term.negated
    assert term.condition == Is(Property.REFUSED)


def test_a_type_without_quotes_ends_where_it_is_whole() -> None:
    query = parse("takes:unsigned long read returns:bio submit args:>2")
    assert query.words == "read submit"
    assert len(query.terms) == 3
    assert not query.problems


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("vfs is:probable", 7, "is: has no 'probable'"),
        ("-nonsuch:x", 1, "there is no nonsuch:"),
        ("mod:a/b", 5, "'/' is in no module's name"),
        ("args:x", 5, "args: how many? 'x'"),
        ("args:-1 vfs", 5, "args: how many? '-1'"),
        ('takes:"struct b#o"', 15, "'#' belongs to no type"),
        ("takes:*", 6, "a pointer to what?"),
        ('returns:"int (*)(void)"', 13, "types of functions and arrays have no name"),
        ('takes:"bio foo" x', 7, "'bio foo' is no type"),
        ("takes:bio*x", 10, "'x' behind the type"),
        ("is:inlined", 3, "no inlined functions are listed"),
    ],
)
def test_what_is_wrong_is_pointed_at(text: str, at: int, message: str) -> None:
    (problem,) = parse(text).problems
    assert (problem.at, problem.message, problem.unfinished) == (at, message, False)
    assert problem.hint


@pytest.mark.parametrize(
    "text",
    [
        "is:", "-is:", "is:pro", "mod:", "takes:", 'takes:"', 'takes:"struct', 'takes:"struct bio', "takes:struct ",
        "args:", "args:>", "args:<=", "vfs returns:",
    ],
)  # fmt: skip
def test_what_may_still_be_finished_is_not_called_wrong(text: str) -> None:
    (problem,) = parse(text).problems
    assert problem.unfinished
    assert problem.hint


def test_what_is_begun_is_no_excuse_further_on() -> None:
    (problem,) = parse("is:pro vfs").problems
    assert not problem.unfinished


def test_what_makes_no_sense_is_left_out_and_the_rest_stands() -> None:
    query = parse("vfs is:nonsense args:2")
    assert query.words == "vfs"
    assert [term.text for term in query.terms] == ["args:2"]


def test_a_module_and_its_function_as_probes_are_written_leads_to_the_term() -> None:
    assert "mod:ext4 ext4_file_open" in parse("ext4:ext4_file_open").problems[0].hint


def test_a_query_for_types_is_none_of_ours() -> None:
    assert parse("t:struct x:y").problems == ()


pieces = st.sampled_from(
    ["is:", "mod:", "takes:", "returns:", "args:", "-", "!", '"', "'", "struct", "const", "*", "long", "bio", ">", "=",
     "9" * 30, "probeable", "errptr", " ", "  ", "\n", "t:", "\x00", "é", "(", "_", "x"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(pieces, max_size=14).map("".join)))
def test_anything_can_be_read(text: str) -> None:
    query = parse(text)
    assert all(0 <= problem.at <= len(text) for problem in query.problems)
    assert all(term.text in text for term in query.terms)
    assert all(word in text for word in query.words.split())


@given(st.permutations(["vfs", "read", "is:armed", "args:>2", 'takes:"struct bio *"', "-mod:x*"]))
def test_order_means_nothing(parts: list[str]) -> None:
    query = parse(" ".join(parts))
    assert sorted(query.words.split()) == ["read", "vfs"]
    assert len(query.terms) == 4
    assert not query.problems
