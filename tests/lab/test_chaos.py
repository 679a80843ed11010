"""A short run of what ``make chaos`` does at length."""

from __future__ import annotations

from tests import chaos
from tests.lab.tracing_state import tracing_state


def test_sixty_random_actions_leave_the_kernel_as_it_was() -> None:
    before = tracing_state()
    done = chaos.run(seed=0, actions=60)
    print(dict(done))
    assert sum(done.values()) >= 60
    assert tracing_state() == before
