"""Filters from their text to what the kernel and the agent are asked; errors point at the character."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.session.filters.errors import FilterError
from explorer.session.filters.filter import Filter, compile_filter
from explorer.session.filters.parser import parse
from explorer.session.filters.scope import Scope
from explorer.session.filters.several import apportion
from explorer.session.probe_spec import ProbeSpec
from symbols.errors import Category
from tests.filter_scopes import ENTRY, RETURN, RETURN_POINTER

DFD, NAME, FLAGS, COUNT, FILE, TYPE, POS = (["value", n] for n in (0, 1, 3, 4, 5, 6, 9))
TEXT, OTHER = ["text", 2], ["text", 11]


def only(text: str, scope: Scope = ENTRY) -> tuple[Any, str]:
    [part] = compile_filter(text, scope).parts
    return part.tree, part.cause


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("count > 4096", [">", COUNT, 4096]),
        ("4096 < count", [">", COUNT, 4096]),
        ("count >= 0x1000", [">=", COUNT, 4096]),
        ("count == 010", ["==", COUNT, 8]),
        ("count == 'a'", ["==", COUNT, 97]),
        ("count != '\\n'", ["!=", COUNT, 10]),
        ("count == 4 * 1024UL + 1", ["==", COUNT, 4097]),
        ("count", ["!=", COUNT, 0]),
        ("!count", ["not", ["!=", COUNT, 0]]),
        ("dfd == AT_FDCWD", ["==", DFD, -100]),
        ("dfd == 0xffffff9c", ["==", DFD, -100]),
        ("dfd < 0", ["<", DFD, 0]),
        ("flags & O_CREAT", ["!=", ["&", FLAGS, 0o100], 0]),
        ("!(flags & O_CREAT)", ["not", ["!=", ["&", FLAGS, 0o100], 0]]),
        ("(flags & O_CREAT) == 0", ["not", ["!=", ["&", FLAGS, 0o100], 0]]),
        ("flags & O_CREAT != 0", ["!=", ["&", FLAGS, 0o100], 0]),
        ("flags & O_CREAT == O_CREAT", ["!=", ["&", FLAGS, 0o100], 0]),
        ("flags & ~O_CREAT", ["!=", ["&", FLAGS, 0xFFFFFFBF], 0]),
        ("flags & (O_CREAT | O_EXCL)", ["!=", ["&", FLAGS, 0o300], 0]),
        ("flags & O_ACCMODE == O_RDWR", ["and", ["!=", ["&", FLAGS, 2], 0], ["not", ["!=", ["&", FLAGS, 1], 0]]]),
        ("filename == NULL", ["==", NAME, 0]),
        ('filename == "/etc/passwd"', ["==", TEXT, "/etc/passwd"]),
        ('"/etc/passwd" != filename', ["!=", TEXT, "/etc/passwd"]),
        ('filename ~ "/etc/*"', ["~", TEXT, "/etc/*"]),
        ('filename !~ "/etc/*"', ["not", ["~", TEXT, "/etc/*"]]),
        ('filename ~ "\\*"', ["~", TEXT, "\\*"]),
        ('filename == "it\'s"', ["==", TEXT, "it's"]),
        ('comm == "cat"', ["==", ["comm"], "cat"]),
        ('comm ~ "kworker*"', ["~", ["comm"], "kworker*"]),
        ("tid == 7 || cpu == 1", ["or", ["==", ["tid"], 7], ["==", ["cpu"], 1]]),
        ("type == PIDTYPE_TGID", ["==", TYPE, 1]),
        ("file == 0xffff888100000000", ["==", FILE, 0xFFFF888100000000]),
        ("file == -ENOENT", ["==", FILE, (1 << 64) - 2]),
    ],
)  # fmt: skip
def test_what_the_kernel_is_asked(text: str, tree: Any) -> None:
    assert only(text) == (tree, "")


@pytest.mark.parametrize(
    ("text", "tree", "cause"),
    [
        ("pid == 7", ["==", ["pid"], 7], "threads"),
        ("count * 2 > 8", [">", ["*", COUNT, 2], 8], "calculate"),
        ("count == pos", ["==", COUNT, POS], "constant"),
        ("flags & O_ACCMODE > 1", [">", ["&", FLAGS, 3], 1], "calculate"),
        ("filename == other", ["==", TEXT, OTHER], "constant"),
        ('filename == "\\"\'"', ["==", TEXT, "\"'"], "quotes"),
        ('filename ~ "1*"', ["~", TEXT, "1*"], "digit"),
        ('filename ~ "!x"', ["~", TEXT, "!x"], "digit or !"),
        ('filename == "é"', ["==", TEXT, "é"], "ASCII"),
        ('filename == "\\xff"', ["==", TEXT, "\udcff"], "ASCII"),
        (f'filename == "{"x" * 300}"', ["==", TEXT, "x" * 300], "255"),
        ("-count == 5", ["==", ["-", 0, COUNT], 5], "calculate"),
    ],
)
def test_what_the_agent_is_asked_and_why(text: str, tree: Any, cause: str) -> None:
    asked, why = only(text)
    assert asked == tree
    assert cause in why


@pytest.mark.parametrize(
    ("text", "scope", "tree"),
    [
        ("return == -ENOENT", RETURN, ["==", ["value", 0], -2]),
        ("return < 0", RETURN, ["<", ["value", 0], 0]),
        ("-1 > return", RETURN, ["<", ["value", 0], -1]),
        ("return == -ENOENT", RETURN_POINTER, ["==", ["value", 0], (1 << 64) - 2]),
        ("return >= -MAX_ERRNO", RETURN_POINTER, [">=", ["value", 0], (1 << 64) - 4095]),
    ],
)
def test_return_values(text: str, scope: Scope, tree: Any) -> None:
    assert only(text, scope) == (tree, "")


def test_it_is_split_so_that_the_kernel_does_what_it_can() -> None:
    chosen = compile_filter('(count > 4096 && pid == 7) && comm == "cat"', ENTRY)
    assert [part.text for part in chosen.by_kernel] == ["count > 4096", 'comm == "cat"']
    assert [part.text for part in chosen.by_agent] == ["pid == 7"]
    assert chosen.to_request() == {
        "kernel": [[">", COUNT, 4096], ["==", ["comm"], "cat"]], "agent": [["==", ["pid"], 7]]
    }  # fmt: skip
    assert "by the kernel: count > 4096 && comm" in chosen.label
    assert "by the agent: pid == 7" in chosen.label
    # One side of an || that the kernel cannot ask takes the other with it.
    assert [part.cause for part in compile_filter("count > 1 || pid == 7", ENTRY).parts] != [""]
    assert compile_filter("count > 1", ENTRY).label == "filtered by the kernel"


def test_what_is_more_than_the_kernel_takes_is_left_to_the_agent() -> None:
    chosen = compile_filter(" && ".join(f'filename != "{"x" * 200}{n}"' for n in range(9)), ENTRY)
    assert not chosen.by_agent
    chosen = compile_filter(" && ".join(f"(flags & 0xffffffff) == 0xfffffff{n}" for n in range(8)), ENTRY)
    assert chosen.by_kernel
    assert chosen.by_agent


@pytest.mark.parametrize(
    ("text", "underlined", "what", "hint"),
    [
        ("cuont > 4096", "cuont", "do_open has no value called cuont", "did you mean count"),
        ("count > ", "", "missing at the end", ""),
        ("", "", "empty", "for instance"),
        ("count = 3", "=", "assigns", "=="),
        ("1 < count < 9", "<", "chained", "&&"),
        ("count > 1 and dfd < 0", "and", "not expected", "write &&"),
        ("not count", "not", "no operator", "write !"),
        ("(count > 1", "(count > 1", ") is missing", ""),
        ("count > 1)", ")", "no (", ""),
        ("count > 1 dfd", "dfd", "not expected", "&&"),
        ("count @ 3", "@", "no meaning", ""),
        ("count > 12x", "12x", "no number", "0x2a"),
        ("count == 09", "09", "octal", ""),
        ('filename == "x', '"x', "missing at the end", ""),
        ("filename == 'xy'", "'xy'", "one character", '"cat"'),
        ("filename > 5", "5", "filename is a string", "compare with == or ~"),
        ('filename > "a"', "filename", "filename is a string", "compare with == or ~"),
        ("filename & 3", "filename", "filename is a string", "== or ~"),
        ('count == "cat"', '"cat"', "count is a number (size_t)", "number"),
        ('count ~ "1*"', "count", "this is a number", "=="),
        ("filename ~ other", "other", "text in quotes", "/etc/*"),
        ('comm == "a-name-of-more-than-15"', '"a-name-of-more-than-15"', "15 bytes, this name has 22", "first 15"),
        ('comm ~ "a-name-of-[mn]ore-than-15*"', '"a-name-of-[mn]ore-than-15*"', "15 bytes, this pattern", "beginning"),
        ("count < 0", "0", "count is unsigned (size_t): it is never below 0", ""),
        ("count > -1", "-1", "never below 0", ""),
        ("file < 0", "0", "never below 0", "-MAX_ERRNO"),
        ("dfd == 0x100000000", "0x100000000", "dfd (int) has 32 bits", ""),
        ("flags & 0x100000000", "0x100000000", "32 bits", "never set"),
        ("flags & 3 == 4", "4", "never equal", ""),
        ("!flags & O_CREAT", "!flags", "no number", "( )"),
        ("(count > 1) + 1", "(count > 1)", "no number", ""),
        ("count / 0 == 1", "0", "divided by 0", ""),
        ("1 == 1", "1 == 1", "always so", ""),
        ('"a" == "a"', '"a"', "always so", ""),
        ("path == 1", "path", "struct path", ""),
        ("gone == 1", "gone", "cannot be read: in no register", ""),
        ("return < 0", "return", "fires at the entry", "do_open%return"),
        ("file->f_inode->i_ino == 2", "file->f_inode->i_ino", "is not read at do_open", "what the probe reads"),
        ("flags & NO_SUCH", "NO_SUCH", "no value called NO_SUCH", "there are"),
        ("count == 0x1ffffffffffffffff", "0x1ffffffffffffffff", "64 bits", ""),
        ("count == 1 << 64", "64", "0 to 63", ""),
        ("(" * 60 + "count" + ")" * 60, "(", "too deep", ""),
    ],
)
def test_errors_point_at_the_character(text: str, underlined: str, what: str, hint: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(text, ENTRY)
    error = caught.value
    assert what in error.what
    assert hint in error.hint
    assert text[error.start : error.end] == underlined
    message, shown, carets = error.message.split("\n")
    assert (message, shown.strip()) == (error.what, text.strip())
    assert carets.index("^") == 4 + error.start
    assert error.category is Category.USAGE


def test_at_a_return_the_arguments_are_gone() -> None:
    with pytest.raises(FilterError, match="do_open%return has no value called count") as caught:
        compile_filter("count > 4", RETURN)
    assert "return" in caught.value.hint


def test_the_threads_own_are_reached_where_an_argument_has_their_name() -> None:
    assert only("$tid == 3") == (["==", ["tid"], 3], "")
    assert ENTRY.completions("fi") == ["filename", "file"]
    assert "O_CREAT" in ENTRY.completions("O_CR")
    assert "-ENOENT" not in ENTRY.completions("")


def test_several_probes_share_one_filter() -> None:
    entry, returned = ProbeSpec.parse("vfs_read"), ProbeSpec.parse("vfs_read%return")
    divided = apportion('return < 0 && comm == "cat"', [entry, returned])
    assert divided == {entry: 'comm == "cat"', returned: 'return < 0 && comm == "cat"'}
    assert apportion("return < 0", [entry, returned])[entry] == ""
    # Nobody returns: then it is an error of the probe, and not quietly nothing.
    assert apportion("return < 0", [entry]) == {entry: "return < 0"}
    assert apportion("count > 3", [entry, returned])[returned] == "count > 3"


def understood(text: str, scope: Scope) -> Filter | FilterError:
    try:
        return compile_filter(text, scope)
    except FilterError as error:
        return error


WORDS = st.sampled_from(
    ["count", "dfd", "filename", "flags", "comm", "pid", "return", "O_CREAT", "ENOENT", "&&", "||", "!", "~", "!~", "(",
     ")", "==", "!=", "<", ">=", "&", "|", "^", "+", "-", "*", "/", "%", "<<", ">>", "=", "0", "1", "0x10", "64", '"a"',
     '"a*"', "'c'", "'", '"', "\\", "->", ".", "[", "$pid", " ", "é", "\0"]
)  # fmt: skip


@given(st.one_of(st.lists(WORDS, max_size=30).map(" ".join), st.lists(WORDS, max_size=30).map("".join),
                 st.text(max_size=60), st.text(string.printable, max_size=60)))  # fmt: skip
def test_anything_is_understood_or_refused_with_a_place(text: str) -> None:
    for scope in (ENTRY, RETURN):
        outcome = understood(text, scope)
        if isinstance(outcome, FilterError):
            assert 0 <= outcome.start < outcome.end <= max(len(text), outcome.start) + 1
            assert outcome.what


@given(st.recursive(st.sampled_from(["count > 1", "dfd", "flags & 4"]), lambda inner: st.one_of(
    st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(" ".join), inner.map("!({})".format),
    inner.map("({})".format)), max_leaves=12))  # fmt: skip
def test_parentheses_and_joints_nest(text: str) -> None:
    parse(text)
    assert not compile_filter(text, ENTRY).by_agent
