"""Filters as operations of the bpf program: they decide as the agent does, whatever the numbers."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.agent import bpf_filter, event_filter, probe_definition
from explorer.agent.bpf_layout import ACCEPT, MOST_OPERATIONS, REJECT, Operate, Operation, Word
from explorer.agent.filter_conditions import Checker, Sighted

TYPES = ("u8", "s16", "s32", "u64", "s64")
REQUEST = probe_definition.parse(
    {
        "symbol": "f",
        "kind": "entry",
        "values": [
            *({"register": "di", "dereference": [8], "type": each} for each in TYPES),
            {"register": "si", "dereference": [0], "type": "string"},
        ],
    },
    "x86_64",
)
MASK = (1 << 64) - 1


class Hit(Sighted):
    """What a record holds: raw numbers, None where one could not be read."""

    def __init__(self, raw: list[int | None], comm: str, tid: int, pid: int, cpu: int) -> None:
        self.raw, self._comm, self._words = raw, comm, (tid, pid, cpu)

    def value(self, index: int) -> Any:
        raw = self.raw[index]
        if raw is None:
            return None
        bits = int(TYPES[index][1:])
        number = raw & ((1 << bits) - 1)
        return number - (1 << bits) if TYPES[index][0] == "s" and number >> (bits - 1) else number

    def comm(self) -> str:
        return self._comm

    def tid(self) -> int:
        return self._words[0]

    def pid(self) -> int:
        return self._words[1]

    def cpu(self) -> int:
        return self._words[2]


def signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def run(operations: list[Operation], hit: Hit) -> bool:
    """What the program in bpf_program.c does with them; 64 bits, no more."""
    comm = hit.comm().encode().ljust(16, b"\0")
    words = {
        Word.TID: hit.tid(), Word.PID: hit.pid(), Word.CPU: hit.cpu(),
        Word.COMM_BEGIN: int.from_bytes(comm[:8], sys.byteorder),
        Word.COMM_END: int.from_bytes(comm[8:], sys.byteorder),
    }  # fmt: skip
    kept = [0] * 8
    left, place = 0, 0
    for _ in range(MOST_OPERATIONS):
        if place >= len(operations):
            return place == ACCEPT
        each = operations[place]
        right = kept[each.argument & 7] if each.kept else each.constant & MASK
        place += 1
        match each.code:
            case Operate.LOAD_VALUE:
                raw = hit.raw[each.argument]
                if raw is None:
                    place = each.unknown
                    continue
                left = (raw << each.shift) & MASK
                left = (signed(left) >> each.shift) & MASK if each.signed else left >> each.shift
            case Operate.LOAD_WORD:
                left = words[Word(each.argument)]
            case Operate.LOAD_CONSTANT:
                left = each.constant & MASK
            case Operate.KEEP:
                kept[each.argument & 7] = left
            case Operate.AND:
                left &= right
            case Operate.OR:
                left |= right
            case Operate.XOR:
                left ^= right
            case Operate.ADD:
                left = (left + right) & MASK
            case Operate.SUBTRACT:
                left = (left - right) & MASK
            case Operate.MULTIPLY:
                left = (left * right) & MASK
            case Operate.SHIFT_LEFT:
                left = (left << (right & 63)) & MASK
            case Operate.SHIFT_RIGHT:
                left >>= right & 63
            case Operate.SHIFT_RIGHT_SIGNED:
                left = (signed(left) >> (right & 63)) & MASK
            case _:
                holds = {
                    Operate.EQUAL: left == right, Operate.LESS: left < right,
                    Operate.LESS_SIGNED: signed(left) < signed(right), Operate.SET_BITS: bool(left & right),
                }[each.code]  # fmt: skip
                place = each.then if holds else each.otherwise
    return False


INTERESTING = st.sampled_from([0, 1, -1, 2, 63, 64, 127, 128, 255, -128, -32768, 1 << 31, (1 << 31) - 1, -(1 << 63)])
CONSTANTS = INTERESTING | st.integers(-(1 << 63), (1 << 64) - 1)
LEAVES = CONSTANTS | st.sampled_from([["value", number] for number in range(len(TYPES))] + [["tid"], ["pid"], ["cpu"]])
NUMBERS = st.recursive(
    LEAVES, lambda part: st.tuples(st.sampled_from("+-*&|^"), part, part).map(list)
    | st.tuples(st.sampled_from(["<<", ">>"]), part, st.integers(0, 70)).map(list), max_leaves=4,
)  # fmt: skip
COMMS = st.sampled_from(["cat", "", "sevenchars", "exactly8", "kworker/0:1", "cats", "fifteen letters"])
COMPARISONS = st.tuples(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), NUMBERS, NUMBERS).map(list)
OF_COMM = st.tuples(st.sampled_from(["==", "!="]), st.just(["comm"]), COMMS).map(list) | st.sampled_from(
    ["cat", "cat*", "*", "sev*", "kworker/*"]
).map(lambda pattern: ["~", ["comm"], pattern])
CONDITIONS = st.recursive(
    COMPARISONS | OF_COMM,
    lambda part: st.tuples(st.sampled_from(["and", "or"]), part, part).map(list)
    | st.tuples(st.just("not"), part).map(list),
    max_leaves=6,
)  # fmt: skip
RAW = st.none() | st.sampled_from([0, 1, 127, 128, 255, 32768, 65535, 1 << 31, MASK, 1 << 63]) | st.integers(0, MASK)
HITS = st.builds(
    Hit, st.lists(RAW, min_size=5, max_size=5), COMMS, st.integers(1, 9), st.integers(1, 9), st.integers(0, 3)
)


@given(st.lists(CONDITIONS, min_size=1, max_size=3), HITS)
def test_both_parts_together_decide_as_the_agent_alone(trees: list[Any], hit: Hit) -> None:
    checker = Checker([False] * len(TYPES) + [True])
    expected = all([checker.condition(tree)(hit) is True for tree in trees])
    divided = bpf_filter.divide({"kernel": [], "agent": trees}, REQUEST)
    operations = list(divided.operations)
    assert len(operations) < MOST_OPERATIONS
    passed = (not operations or run(operations, hit)) and (divided.remaining is None or divided.remaining(hit) is True)
    assert passed is expected


@pytest.mark.parametrize(
    "tree",
    [
        [">", ["value", 3], 4096],
        ["==", ["+", ["value", 2], 100], 0],
        ["!=", ["&", ["value", 3], 64], 0],
        ["and", ["==", ["pid"], 7], ["not", ["==", ["comm"], "cat"]]],
        ["~", ["comm"], "kworker/*"],
        ["<", ["value", 1], ["value", 2]],
    ],
)
def test_what_people_ask_for_is_the_programs_alone(tree: Any) -> None:
    assert bpf_filter.divide({"kernel": [], "agent": [tree]}, REQUEST).remaining is None


@pytest.mark.parametrize(
    "tree",
    [
        ["==", ["text", 5], "/etc/passwd"],
        ["~", ["comm"], "c?t"],
        ["==", ["/", ["value", 2], 3], 1],
        ["<", ["value", 4], ["value", 3]],  # a signed number of 64 bits and an unsigned one
        ["==", ["+", ["value", 3], 1], 0],  # which could overflow
    ],
)
def test_what_it_could_not_decide_exactly_is_left_to_the_agent(tree: Any) -> None:
    divided = bpf_filter.divide({"kernel": [], "agent": [tree]}, REQUEST)
    assert divided.operations == []
    assert divided.remaining is not None


def test_every_end_is_one_of_two() -> None:
    tree = ["or", ["and", ["==", ["value", 0], 1], [">", ["value", 3], 2]], ["not", ["==", ["comm"], "cat"]]]
    operations = bpf_filter.divide({"kernel": [tree], "agent": []}, REQUEST).operations
    comparisons = [each for each in operations if each.code >= Operate.EQUAL]
    ends = {place for each in comparisons for place in (each.then, each.otherwise) if place >= len(operations)}
    assert ends == {ACCEPT, REJECT}


def test_what_can_be_one_number_only_may_still_be_unread() -> None:
    divided = bpf_filter.divide({"kernel": [], "agent": [["==", 0, [">>", ["value", 0], 8]]]}, REQUEST)
    assert not run(list(divided.operations), Hit([None] * len(TYPES), "cat", 1, 1, 0))


def test_no_filter_is_no_operation() -> None:
    assert bpf_filter.divide(event_filter.parse(None, REQUEST).wanted, REQUEST).operations == []
