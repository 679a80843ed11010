"""Putting a filter on a probe: the kernel's part on its event, the agent's part on what comes out of the buffers."""

from __future__ import annotations

from typing import Any, Callable, Optional

from explorer.agent.definitions import Definition
from explorer.agent.event_filter import EventFilter
from explorer.agent.event_format import HitDecoder
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


class _Recorded(Sighted):
    """A record that a condition asks."""

    __slots__ = ("_cpu", "_decoder", "_page", "_raw", "_record", "_recorder")

    def __init__(self, decoder: HitDecoder, recorder: Recorder, page: bytes, record: Record, cpu: int) -> None:
        self._decoder, self._recorder = decoder, recorder
        self._page, self._record, self._cpu = page, record, cpu
        self._raw = decoder.unpack(page, record)

    def value(self, index: int) -> Any:
        return self._decoder.value(self._page, self._record, self._raw, index)

    def comm(self) -> str:
        return self._decoder.comm(self._page, self._record, self._raw)

    def tid(self) -> int:
        return self._decoder.tid(self._raw)

    def pid(self) -> Optional[int]:
        return self._recorder.process_of(self.tid())

    def cpu(self) -> int:
        return self._cpu


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
    decoder, asked = definition.decoder, condition
    assert decoder is not None

    def judge(page: bytes, record: Record, cpu: int) -> bool:
        return asked(_Recorded(decoder, recorder, page, record, cpu)) is True

    recorder.judge(definition.identity, judge)
