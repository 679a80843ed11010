"""A short run of what ``make chaos`` does with ten thousand requests."""

from __future__ import annotations

from tests import agent_fuzz


def test_senseless_requests_leave_nothing_armed() -> None:
    print(agent_fuzz.run(seed=4, requests=150))
