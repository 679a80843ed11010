"""One event as one line: when, who, which probe, and the values by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from rich.segment import Segment

from explorer.session.events import Called, Event
from explorer.session.latencies import duration
from explorer.session.probe import RETURNED, Probe
from explorer.session.probe_spec import ProbeKind
from explorer.session.values import Value, ValueClass, printable
from explorer.widgets.cells import fit, fit_right
from explorer.widgets.palette import (
    BOTH_MARK,
    BRIGHT,
    ENTRY,
    ENTRY_MARK,
    FAINT,
    MUTED,
    NAME,
    RETURN,
    RETURN_MARK,
    TEXT,
    VALUES,
    WARNING,
)

_WIDE = 100
_LATENCY = 6


@dataclasses.dataclass(frozen=True, slots=True)
class Columns:
    """Widths of what stands before the values, in cells; 0 leaves a column out."""

    time: int
    decimals: int
    process: int
    cpu: int
    probe: int

    @classmethod
    def for_width(cls, width: int, probe_names: Iterable[str]) -> Columns:
        """The columns of a pane that shows events of these probes."""
        longest = max((len(name) for name in probe_names), default=0)
        if width >= _WIDE:
            return cls(time=12, decimals=6, process=22, cpu=4, probe=min(longest, 28))
        return cls(time=8, decimals=3, process=14, cpu=0, probe=min(longest, 16))


def place_name(probe: Probe) -> str:
    """What a probe is called on screen: its place, without the notation for returns, which have a mark."""
    spec = probe.spec
    if spec.address is not None and probe.prototype is not None:
        return probe.prototype.name + (f"+{probe.offset:#x}" if probe.offset else "")
    return str(spec).removesuffix(spec.kind.suffix)


def process(event: Event, width: int = 0) -> str:
    """``comm:pid``; of a process that was gone, the thread that is known; the id is never what is cut."""
    number = str(event.pid) if event.pid is not None else f"{event.tid}?"
    comm = printable(event.comm)
    return f"{fit(comm, min(len(comm), width - len(number) - 1)) if width else comm}:{number}"


def draw(event: Event, values: Sequence[Value], columns: Columns, began: int) -> Iterator[Segment]:
    """The line of an event.

    Args:
        event: What happened.
        values: Its values, described.
        columns: Widths.
        began: The time, in nanoseconds, from which seconds are counted.
    """
    seconds = (event.time - began) / 1e9
    yield Segment(fit_right(f"{seconds:.{columns.decimals}f}", columns.time) + " ", MUTED)
    interrupted = event.context != "task"
    who = event.context if interrupted else process(event, columns.process)
    yield Segment(fit(who, columns.process) + " ", WARNING if interrupted else TEXT)
    if columns.cpu:
        yield Segment(fit(f"#{event.cpu}", columns.cpu) + " ", FAINT)
    returned = event.probe.spec.kind is ProbeKind.RETURN
    mark = BOTH_MARK if event.call is not None else RETURN_MARK if returned else ENTRY_MARK
    yield Segment(mark, RETURN if returned else ENTRY)
    yield Segment(fit(place_name(event.probe), columns.probe) + " ", BRIGHT)
    if event.call is None:
        yield from draw_values(values)
    else:
        yield from _draw_call(event.call, values)


def _draw_call(call: Called, values: Sequence[Value]) -> Iterator[Segment]:
    """How long it took and what it returned, then its arguments: these are what may be cut."""
    if call.latency is None:
        yield Segment(f" {call.cause}", WARNING)
    else:
        yield Segment(fit_right(duration(call.latency), _LATENCY), NAME)
    if call.depth > 1:
        yield Segment(f" depth {call.depth}", MUTED)
    of_return = [value for value in values if value.name == RETURNED]
    arguments = [value for value in values if value.name != RETURNED]
    if of_return or arguments:
        yield from draw_values([*of_return, *arguments])


def draw_values(values: Sequence[Value]) -> Iterator[Segment]:
    """``name=value`` for each, coloured by what sort of thing it is."""
    for value in values:
        yield Segment(f" {value.name}", FAINT if value.value_class is ValueClass.UNREAD else MUTED)
        yield Segment("=", FAINT)
        yield Segment(value.text, VALUES[value.value_class])
    if not values:
        yield Segment(" no values", FAINT)


def plain(event: Event, values: Sequence[Value]) -> str:
    """The whole event as text, for the clipboard."""
    words = " ".join(f"{value.name}={value.text}" for value in values)
    took = ""
    if event.call is not None:
        took = f" {event.call.cause}" if event.call.latency is None else f" took {duration(event.call.latency)}"
    return f"{event.time / 1e9:.9f} cpu{event.cpu} {process(event)} {event.probe.spec} {words}".rstrip() + took
