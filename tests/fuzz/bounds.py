"""What whatever data may cost: a known error at worst, work in proportion to it, and memory as well.

Work is counted in calls, Python's own and those into C, so that the measure does not depend on the machine. What a
single call into C does (a regular expression above all) is not seen by that; a guard on the processor time ends it, far
beyond anything that these sizes can need. Memory is the peak that ``tracemalloc`` sees while the parser runs, without
the input itself: at most four times the input, and a floor for what does not depend on it.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar

from explorer.agent.ring_buffer import RingBufferError
from symbols.errors import KexploreError

_T = TypeVar("_T")

REFUSALS = (KexploreError, RingBufferError)
"""How data may be refused; the second is the agent's, which knows nothing of the first."""
TIMES = 4
FLOOR = 512 << 10
"""Bytes: some lists of a kernel are made of short lines, and an object of Python for each weighs more than the line."""
CALLS = 20_000
_CALLS_PER_BYTE = 30
_GUARD = 20.0
"""Seconds of processor time."""


class Excess(Exception):
    """A parser took more than data of this size may cost."""


def survived(parse: Callable[[bytes], _T], data: bytes, *, calls: int = CALLS, floor: int = FLOOR) -> _T | None:
    """What a parser makes of data, or None when it refuses it.

    Args:
        parse: The parser, with whatever its result is asked for.
        data: Its input.
        calls: Work that it may do whatever its size is.
        floor: Bytes that it may use whatever its size is.

    Raises:
        Excess: It takes too much work, time or memory.
    """
    size, done = len(data), 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal done
        done += event in ("call", "c_call")

    tracemalloc.start()
    try:
        with _guarded():
            sys.setprofile(count)
            try:
                result: _T | None = parse(data)
            except REFUSALS:
                result = None
            finally:
                sys.setprofile(None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if done > calls + _CALLS_PER_BYTE * size:
        raise Excess(f"{done:,} calls for {size:,} bytes")
    if peak > TIMES * size + floor:
        raise Excess(f"{peak:,} bytes of memory for {size:,} bytes")
    return result


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    def expired(number: int, frame: FrameType | None) -> None:
        raise Excess(f"no end after {_GUARD:.0f} s of processor time")

    before = signal.signal(signal.SIGVTALRM, expired)
    signal.setitimer(signal.ITIMER_VIRTUAL, _GUARD)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
