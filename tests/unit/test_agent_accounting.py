"""The counters of a probe: they always sum up, and nothing is blamed on the wrong cause."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from explorer.agent.accounting import Accounts
from explorer.agent.protocol import COUNTER_NAMES


def named(counters: list[int]) -> dict[str, int]:
    return dict(zip(COUNTER_NAMES, counters, strict=True))


def test_what_was_decoded_and_not_sent_is_not_shown() -> None:
    accounts = Accounts()
    accounts.open(1)
    accounts.decoded(1, 10)
    accounts.shown(1, 1)
    assert named(accounts.close(1)) == {"hits": 10, "missed": 0, "lost": 0, "filtered": 0, "not_shown": 9}


def test_without_losses_all_that_is_unexplained_was_filtered() -> None:
    accounts = Accounts()
    accounts.open(1)
    accounts.decoded(1, 10)
    accounts.reconcile({1: (13, 2)}, lost=0)
    assert named(accounts.close(1)) == {"hits": 13, "missed": 2, "lost": 0, "filtered": 3, "not_shown": 10}


def test_one_probe_is_exact_even_when_a_flood_meets_a_filter() -> None:
    accounts = Accounts()
    accounts.open(1)
    accounts.decoded(1, 10)
    accounts.reconcile({1: (30, 0)}, lost=15)
    assert named(accounts.close(1)) == {"hits": 30, "missed": 0, "lost": 15, "filtered": 5, "not_shown": 10}


def test_losses_that_show_later_are_still_losses() -> None:
    accounts = Accounts()
    accounts.open(1)
    accounts.decoded(1, 100)
    accounts.reconcile({1: (90, 0)}, lost=20)  # events newer than the profile are decoded already
    accounts.reconcile({1: (120, 0)}, lost=20)
    assert named(accounts.close(1)) == {"hits": 120, "missed": 0, "lost": 20, "filtered": 0, "not_shown": 100}


def test_losses_of_nobody_are_not_put_on_the_next_probe() -> None:
    accounts = Accounts()
    accounts.settle(50)
    accounts.open(1)
    accounts.reconcile({1: (3, 0)}, lost=50)
    assert named(accounts.close(1))["filtered"] == 3


def test_what_was_overwritten_until_a_probe_was_disabled_is_its_loss() -> None:
    accounts = Accounts()
    accounts.open(1)
    accounts.decoded(1, 100)
    accounts.reconcile({1: (1000, 0)}, lost=950)  # 50 of them since that profile was read
    accounts.reconcile_ends({1: (1080, 0)}, [1])  # 30 came while the kernel took the probe away
    assert named(accounts.close(1)) == {"hits": 1050, "missed": 0, "lost": 950, "filtered": 0, "not_shown": 100}


def test_losses_of_one_that_goes_on_are_not_put_on_one_that_ends() -> None:
    accounts = Accounts()
    for probe in (1, 2):
        accounts.open(probe)
        accounts.decoded(probe, 100)
    accounts.reconcile({1: (100, 0), 2: (100, 0)}, lost=60)
    accounts.reconcile_ends({1: (120, 0), 2: (160, 0)}, [1])
    assert named(accounts.close(1))["lost"] == 15
    accounts.reconcile({2: (160, 0)}, lost=60)
    assert named(accounts.close(2))["lost"] == 45


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=3, max_size=3),
            st.integers(0, 3000),
        ),
        max_size=6,
    )
)
def test_the_sums_always_hold_and_nothing_ever_falls(steps: list[tuple[list[tuple[int, int]], int]]) -> None:
    accounts = Accounts()
    for probe in range(3):
        accounts.open(probe)
    hits, decoded, lost = [0, 0, 0], [0, 0, 0], 0
    before = accounts.counters()
    for moves, losses in steps:
        for probe, (more, unseen) in enumerate(moves):
            hits[probe] += more + unseen
            decoded[probe] += more
            accounts.decoded(probe, more)
        lost += losses
        accounts.reconcile({probe: (hits[probe], 0) for probe in range(3)}, lost)
        after = accounts.counters()
        for probe in range(3):
            counts = named(after[probe])
            assert counts["hits"] == hits[probe] == decoded[probe] + counts["lost"] + counts["filtered"]
            assert all(new >= old for new, old in zip(after[probe], before[probe], strict=True))
        assert sum(named(counts)["lost"] for counts in after.values()) <= lost
        before = after
