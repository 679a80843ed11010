"""Putting a filter on a probe: the kernel's part on its event, the agent's part on what comes out of the buffers."""

from __future__ import annotations

from typing import Callable, Optional

from explorer.agent.definitions import Definition
from explorer.agent.event_filter import EventFilter
from explorer.agent.failure import RequestError
from explorer.agent.filter_conditions import Condition, Sighted
from explorer.agent.protocol import Code
from explorer.agent.recorder import Recorder
from explorer.agent.ring_buffer import Record


def begin(recorder: Recorder, definition: Definition, chosen: EventFilter) -> None:
    """Filter a probe that is not recorded yet and whose records are described if the filter has an agent's part.

    Raises:
        RequestError: The kernel refused the filter.
    """
    _set_kernel_part(recorder, definition, chosen)
    _judge(recorder, definition, chosen.remaining)


def change(recorder: Recorder, definition: Definition, chosen: EventFilter, drain: Callable[[], object]) -> None:
    """Put another filter on a probe while it is recorded.

    What was recorded before the kernel had the new filter is judged by the whole of it here; from then on the agent
    asks only what the kernel cannot.

    Args:
        recorder: Of the instance.
        definition: The probe's.
        chosen: The new filter.
        drain: Takes everything out of the buffers.

    Raises:
        RequestError: The kernel refused the filter, which is then as it was.
    """
    _set_kernel_part(recorder, definition, chosen)
    _judge(recorder, definition, chosen.whole)
    drain()
    _judge(recorder, definition, chosen.remaining)


def end(recorder: Recorder, definition: Definition) -> None:
    """The probe is gone: judge no more. The kernel's part is set anew when its definition is used again."""
    recorder.judge(definition.identity, None)


def _set_kernel_part(recorder: Recorder, definition: Definition, chosen: EventFilter) -> None:
    try:
        recorder.set_filter(definition.event, chosen.kernel)
    except OSError as error:
        message = f"the kernel refused the filter {chosen.kernel!r}: {error.strerror}"
        raise RequestError(Code.REFUSED, message) from None


def _judge(recorder: Recorder, definition: Definition, condition: Optional[Condition]) -> None:
    if condition is None:
        recorder.judge(definition.identity, None)
        return
    decoder, asked, process_of = definition.decoder, condition, recorder.process_of
    assert decoder is not None

    def judge(page: bytes, record: Record, cpu: int) -> bool:
        hit = decoder.decode(page, record)
        return asked(Sighted(hit.values, hit.comm, hit.tid, cpu, process_of)) is True

    recorder.judge(definition.identity, judge)
