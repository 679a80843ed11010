"""Emptying the per-processor buffers: all that was there when it began comes out, and no more is waited for."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

import pytest

from explorer.agent.buffers import Buffers
from explorer.agent.tracefs import Instance, Reread
from tests.ring_buffer_pages import LAYOUT, event, page

EVENT = 7
PAGES = 64


class FullInstance(Instance):
    """An instance of one processor whose buffer holds as many pages as fit, besides the reader's page in two parts."""

    def __init__(self) -> None:
        super().__init__("")
        self._reading, self._writing = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
        fcntl.fcntl(self._writing, fcntl.F_SETPIPE_SZ, (PAGES + 4) * 4096)

    def fill(self) -> None:
        for _ in range(PAGES + 2):
            os.write(self._writing, page(1, event(0, EVENT.to_bytes(8, "little"))))

    def cpus(self) -> list[int]:
        return [0]

    def pipe(self, cpu: int) -> int:
        return self._reading

    def statistics(self, cpu: int) -> Reread:
        return Reread(os.devnull)

    def buffer_bytes(self) -> int:
        return PAGES * LAYOUT.data_size // 1024 * 1024

    def close(self) -> None:
        os.close(self._writing)


@pytest.fixture
def instance() -> Iterator[FullInstance]:
    instance = FullInstance()
    yield instance
    instance.close()


def test_a_full_buffer_is_emptied_in_one_go(instance: FullInstance) -> None:
    buffers = Buffers(instance, LAYOUT, watched=0)
    instance.fill()
    drained = buffers.drain(keep=0, seconds=float("inf"))
    assert drained.complete
    assert drained.counts == {EVENT: PAGES + 2}
    buffers.close()


def test_a_drain_whose_time_is_over_ends_inside_a_buffer_and_the_next_goes_on_there(instance: FullInstance) -> None:
    buffers = Buffers(instance, LAYOUT, watched=0)
    instance.fill()
    first = buffers.drain(keep=0, seconds=0.0)
    assert not first.complete
    assert 0 < first.counts[EVENT] < PAGES
    rest = buffers.drain(keep=0, seconds=float("inf"))
    assert rest.complete
    assert first.counts[EVENT] + rest.counts[EVENT] == PAGES + 2
    buffers.close()
