"""The same expectations for both engines: a fixture that runs a test once with an agent of each.

The bpf program takes seconds to compile in the lab, so the tests of a module share one agent of that engine; what a
test leaves armed or limited is undone behind it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.agent_driver import Agent, agent
from tests.lab.tracing_state import tracing_state, wait_for_state

CREDIT = 1 << 20


@pytest.fixture(scope="module")
def agent_of_bpf() -> Iterator[Agent]:
    """One for all tests of the module; it has credit for any number of rows."""
    before = tracing_state()
    with agent(engine="bpf") as started:
        started.credit(CREDIT)
        yield started
        assert started.quit() == []
    assert tracing_state() == before


@pytest.fixture(params=["tracefs", "bpf"])
def either_engine(request: pytest.FixtureRequest) -> Iterator[Agent]:
    """An agent whose probes are of one engine; it has credit for any number of rows."""
    if request.param == "bpf":
        shared: Agent = request.getfixturevalue("agent_of_bpf")
        before = tracing_state()
        yield shared
        shared.start_afresh()
        assert shared.problems == []
        wait_for_state(before)
        return
    before = tracing_state()
    with agent(engine="tracefs") as started:
        started.credit(CREDIT)
        yield started
        assert started.problems == []
        assert started.quit() == []
    assert tracing_state() == before
