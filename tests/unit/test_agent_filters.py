"""Filters as the agent takes them: checked, put into the kernel's words, asked of decoded hits."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.agent import event_filter, probe_definition
from explorer.agent.failure import RequestError
from explorer.agent.filter_conditions import Sighted
from explorer.agent.glob import glob_match
from explorer.session.filters.filter import compile_filter
from tests.filter_scopes import ENTRY

MEMBER = {"register": "di", "dereference": [8], "type": "u32"}
REQUEST = probe_definition.parse(
    {
        "symbol": "do_open", "kind": "entry",
        "values": [
            {"register": "di", "type": "s32"}, {"register": "si", "type": "u64"},
            {"register": "si", "dereference": [0], "type": "string"}, {"register": "dx", "type": "u32"},
            {"register": "cx", "type": "u64"}, {"register": "r8", "type": "u64"}, {"register": "r9", "type": "s32"},
            {"register": "r10", "type": "u64"}, {"register": "r11", "type": "u64"}, {"register": "ax", "type": "s64"},
            {"register": "bx", "type": "u64"}, {"register": "bx", "dereference": [0], "type": "string"}, MEMBER,
        ],
    },
    "x86_64",
)  # fmt: skip
"""What the probe of ``tests.filter_scopes.ENTRY`` reads, and a member behind a pointer."""
MEMBER_VALUE = ["value", 12]


NAMES = ["dfd", "filename_at", "filename", "flags", "count", "file", "type", "p", "q", "pos", "o", "other", "member"]


class Hit(Sighted):
    """A hit with these values; the others are 0."""

    def __init__(self, **known: Any) -> None:
        self._known = {"filename": "/etc/passwd", "other": "x", "comm": "cat", "tid": 7, "cpu": 1, "pid": 7, **known}

    def value(self, index: int) -> Any:
        return self._known.get(NAMES[index], 0)

    def comm(self) -> str:
        return str(self._known["comm"])

    def tid(self) -> int:
        return int(self._known["tid"])

    def pid(self) -> int | None:
        pid: int | None = self._known["pid"]
        return pid

    def cpu(self) -> int:
        return int(self._known["cpu"])


def chosen(kernel: list[Any] | None = None, agent: list[Any] | None = None) -> event_filter.EventFilter:
    return event_filter.parse({"kernel": kernel or [], "agent": agent or []}, REQUEST)


def holds(text: str, **hit: Any) -> bool:
    """Whether a hit passes a filter, asked by the agent alone."""
    whole = event_filter.parse(compile_filter(text, ENTRY).to_request(), REQUEST).whole
    assert whole is not None
    return whole(Hit(**hit)) is True


@pytest.mark.parametrize(
    ("text", "kernel"),
    [
        ("count > 4096", "(v4 > 4096)"),
        ("dfd == AT_FDCWD", "(v0 == -100)"),
        ("flags & O_CREAT && cpu == 1", "(v3 & 64) && (CPU == 1)"),
        ("tid == 7 || !(count == 3)", "((common_pid == 7) || (!(v4 == 3)))"),
        ('filename ~ "/etc/*"', '(v2 ~ "/etc/*")'),
        ('comm == "a\\"b"', "(comm == 'a\"b')"),
        ("pos & 0x8000000000000000", "(v9 & -9223372036854775808)"),
        ("file == -ENOENT", "(v5 == 18446744073709551614)"),
    ],
)
def test_the_kernels_words(text: str, kernel: str) -> None:
    assert event_filter.parse(compile_filter(text, ENTRY).to_request(), REQUEST).kernel == kernel


@pytest.mark.parametrize(
    ("text", "hit", "passes"),
    [
        ("count > 4096", {"count": 4097}, True),
        ("count > 4096", {"count": 4096}, False),
        ("flags & O_ACCMODE == O_RDWR", {"flags": 0o102}, True),
        ("flags & O_ACCMODE == O_RDWR", {"flags": 3}, False),
        ("flags & O_ACCMODE != O_RDWR", {"flags": 3}, True),
        ("dfd & 0xff == 0x9c", {"dfd": -100}, True),
        ("count / 2 == pos % 4", {"count": 5, "pos": 6}, True),
        ("pos / 2 == -3", {"pos": -7}, True),
        ("pos % 4 == -3", {"pos": -7}, True),
        ("~count & 1", {"count": 2}, True),
        ("count << 3 >= 64", {"count": 8}, True),
        ("pid == 9 && tid == 8", {"pid": 9, "tid": 8}, True),
        ("filename == other", {"other": "/etc/passwd"}, True),
        ('filename ~ "/etc/*" && comm != "dog"', {}, True),
        ("count > 1 || cpu == 1", {}, True),
        # A value that could not be read decides nothing, and an undecided hit does not pass.
        ('filename == "x"', {"filename": None}, False),
        ('filename != "x"', {"filename": None}, False),
        ('!(filename ~ "x*")', {"filename": None}, False),
        ('filename != "x" || cpu == 1', {"filename": None}, True),
        ('!(filename == "x" && cpu == 2)', {"filename": None}, True),
        ("pid != 3", {"pid": None}, False),
        ("count / pos == 1", {"pos": 0}, False),
        ("count << pos > 0", {"pos": 1 << 40, "count": 1}, False),
    ],
)
def test_what_the_agent_lets_pass(text: str, hit: dict[str, Any], passes: bool) -> None:
    assert holds(text, **hit) is passes


def test_the_agent_asks_again_only_what_a_fault_could_have_deceived_the_kernel_about() -> None:
    assert chosen([[">", ["value", 4], 1]]).remaining is None
    for read in (["==", ["text", 2], "x"], [">", MEMBER_VALUE, 1]):
        remaining = chosen([[">", ["value", 4], 1], read]).remaining
        assert remaining is not None
        assert remaining(Hit(filename=None, member=None, count=0)) is None
        assert remaining(Hit(filename="x", member=2, count=0)) is True  # count is the kernel's business
    assert event_filter.parse(None, REQUEST) == event_filter.NO_FILTER == chosen()


@pytest.mark.parametrize(
    "wanted",
    [
        1, "count > 1", [], {}, {"kernel": []}, {"kernel": [], "agent": [], "more": 1}, {"kernel": "x", "agent": []},
        {"kernel": [["==", ["pid"], 3]], "agent": []},
        {"kernel": [["==", ["+", ["value", 0], 1], 3]], "agent": []},
        {"kernel": [["==", ["value", 0], ["value", 1]]], "agent": []},
        {"kernel": [["==", 3, ["value", 0]]], "agent": []},
        {"kernel": [["==", ["value", 1], -1]], "agent": []},
        {"kernel": [["==", ["comm"], "\"'"]], "agent": []},
        {"kernel": [["==", ["comm"], 'x" || common_pid > "0\n']], "agent": []},
        {"kernel": [["==", ["comm"], "é"]], "agent": []},
        {"kernel": [["~", ["comm"], "!x"]], "agent": []},
        {"kernel": [["~", ["comm"], "9*"]], "agent": []},
        {"kernel": [["==", ["comm"], "x" * 256]], "agent": []},
        {"kernel": [["==", ["comm"], "x" * 200]] * 30, "agent": []},
        {"kernel": [], "agent": [["==", ["value", 13], 3]]},
        {"kernel": [], "agent": [["==", ["value", 2], 3]]},
        {"kernel": [], "agent": [["==", ["value", True], 3]]},
        {"kernel": [], "agent": [["==", ["text", 0], "x"]]},
        {"kernel": [], "agent": [["==", ["comm"], 3]]},
        {"kernel": [], "agent": [["<", ["comm"], "x"]]},
        {"kernel": [], "agent": [["==", ["value", 0], 1 << 64]]},
        {"kernel": [], "agent": [["==", ["value", 0], 1.5]]},
        {"kernel": [], "agent": [["==", ["value", 0], True]]},
        {"kernel": [], "agent": [["and"]]},
        {"kernel": [], "agent": [["not", ["not"]]]},
        {"kernel": [], "agent": [["system", "rm"]]},
        {"kernel": [], "agent": [[["=="], 1, 2]]},
        {"kernel": [], "agent": [["~", ["comm"], ["comm"]]]},
        {"kernel": [], "agent": [["==", ["comm"], "\ud800"]]},
        {"kernel": [], "agent": [["==", ["comm"], "a\0b"]]},
        {"kernel": [], "agent": [["==", ["comm"], "x" * 5000]]},
        {"kernel": [], "agent": [["==", ["value", 0], 1]] * 1000},
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused(wanted: object) -> None:
    with pytest.raises(RequestError):
        event_filter.parse(wanted, REQUEST)


def test_a_deep_filter_is_refused() -> None:
    tree: Any = ["==", ["value", 0], 1]
    for _ in range(500):
        tree = ["not", tree]
    with pytest.raises(RequestError):
        chosen(agent=[tree])


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4), st.sampled_from(
        ["and", "or", "not", "==", "!=", "~", "<", "&", "value", "text", "comm", "tid", "pid", "cpu", "+", "<<", "/"])),
    lambda inner: st.lists(inner, max_size=4), max_leaves=20)  # fmt: skip


@given(st.lists(JSON, max_size=3), st.lists(JSON, max_size=3))
def test_garbage_is_refused_or_a_filter_that_can_be_asked(kernel: list[Any], agent: list[Any]) -> None:
    try:
        parsed = chosen(kernel, agent)
    except RequestError:
        return
    if parsed.whole is not None:
        assert parsed.whole(Hit()) in (True, False, None)
    assert parsed.kernel.isprintable()


@given(st.text("ab*?[]!-\\", max_size=10), st.text("ab-]!", max_size=10))
def test_patterns_match_as_a_shell_does(pattern: str, text: str) -> None:
    if "\\" in pattern or "--" in pattern or "[]" in pattern or "[!]" in pattern or "-" in pattern:
        glob_match(pattern.encode(), text.encode())  # fnmatch differs, or knows no escapes: it must only end
    else:
        assert glob_match(pattern.encode(), text.encode()) is fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("/etc/*", "/etc/a/b", True), ("*", "", True), ("", "", True), ("", "a", False), ("a\\*", "a*", True),
        ("a\\*", "ab", False), ("[a-c]x", "bx", True), ("[!a-c]x", "bx", False), ("[]x]", "]", True),
        ("[a", "[a", True),
        ("*a*b*c*", "xaxbxc", True), ("*a*b*c*", "xaxcxb", False), ("a\\", "a\\", True), ("?", "", False),
    ],
)  # fmt: skip
def test_patterns(pattern: str, text: str, matches: bool) -> None:
    assert glob_match(pattern.encode(), text.encode()) is matches
