"""What every test on the lab's kernel is held to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.tracing_state import tracing_state, wait_for_state


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """After each test the kernel's tracing state is what it was; tests that want it at once compare it themselves."""
    before = tracing_state()
    yield
    wait_for_state(before)
