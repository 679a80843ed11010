"""What the agent says of the events of calls: since when, until when, and when it owes another word."""

from __future__ import annotations

from explorer.agent.completeness import CLOCK_SLACK, Completeness

ROW = [1, 5_000_000]


def test_without_calls_nothing_is_said() -> None:
    completeness = Completeness()
    assert completeness.report([ROW], 0, 9_000_000) == {}
    assert not completeness.pending


def test_the_beginning_is_told_once_and_each_gap_when_it_is_new() -> None:
    completeness = Completeness()
    completeness.begin(1, 100)
    completeness.begin(2, 200)
    assert completeness.report([], 0, 1_000_000) == {"until": 1_000_000 - CLOCK_SLACK, "since": {1: 100, 2: 200}}
    assert completeness.report([], 150, 1_000_000) == {"until": 1_000_000 - CLOCK_SLACK, "since": {1: 150}}
    assert "since" not in completeness.report([], 150, 1_000_000)
    completeness.begin(2, 300)  # enabled again
    assert completeness.report([], 150, 1_000_000)["since"] == {2: 300}


def test_a_word_is_owed_while_a_row_is_newer_than_the_last_round() -> None:
    completeness = Completeness()
    completeness.begin(1, 100)
    completeness.report([ROW], 0, 4_000_000)
    assert owes(completeness)
    completeness.report([], 0, 6_000_000)
    assert not owes(completeness)
    completeness.report([[1, 9_000_000]], 0, 7_000_000)
    assert owes(completeness)
    completeness.end(1)
    assert not owes(completeness)


def owes(completeness: Completeness) -> bool:
    return completeness.pending
