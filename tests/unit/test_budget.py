"""Budgets as people write them."""

from __future__ import annotations

import pytest

from explorer.errors import UsageError
from explorer.session.budget import DEFAULT, HINT, Budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("2%", DEFAULT),
        ("0.5%", Budget(None, 0.005)),
        ("1500/s", Budget(1500, None)),
        ("5% 1500/s", Budget(1500, 0.05)),
        ("none", Budget(None, None)),
    ],
)
def test_what_is_written_is_read_and_written_again(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget
    assert str(budget) == text


@pytest.mark.parametrize("text", ["", "2", "0%", "101%", "0/s", "2% 3%", "1/s none", "-2%", "2000000000/s", "1e3/s"])
def test_what_is_no_budget_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        Budget.parse(text)
    assert refused.value.hint == HINT
