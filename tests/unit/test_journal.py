"""The journal: bounded, numbered, nothing renumbered."""

from __future__ import annotations

import pytest

from explorer.session.events import Event, Journal
from explorer.session.probe import Probe
from explorer.session.probe_spec import ProbeSpec

PROBE = Probe(ProbeSpec("f"), None, ())


def fill(journal: Journal, count: int) -> None:
    for _ in range(count):
        number = journal.last_number + 1
        journal.append(Event(number, PROBE, number, 0, 1, 1, "c", "task", (), None))


def test_numbers_survive_the_bound() -> None:
    journal = Journal(capacity=10)
    fill(journal, 25)
    assert (len(journal), journal.dropped, journal.first_number, journal.last_number) == (10, 15, 16, 25)
    assert journal[16].time == 16
    assert [event.number for event in journal.between(1, 18)] == [16, 17, 18]
    assert [event.number for event in journal.between(24, 99)] == [24, 25]
    assert journal.between(3, 9) == []


@pytest.mark.parametrize("number", [0, 15, 26])
def test_what_is_not_kept_is_an_error(number: int) -> None:
    journal = Journal(capacity=10)
    fill(journal, 25)
    with pytest.raises(IndexError):
        journal[number]


def test_clearing_does_not_start_the_numbers_again() -> None:
    journal = Journal(capacity=10)
    fill(journal, 4)
    journal.clear()
    fill(journal, 1)
    assert (journal.first_number, journal.last_number, len(journal)) == (5, 5, 1)
