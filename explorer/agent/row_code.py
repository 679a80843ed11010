"""Code that turns the records of one probe into rows, written for this probe's format and compiled.

In a flood this is where the agent's time goes: without a loop over the fields and a call for each of them a record
takes half as long (``tests/benchmarks/decode.py``). What is generated looks like this, for a probe with a number behind
a pointer and a text::

    def rows(page, records, cpu, probe, processes, append):
        for time, start, end, _ in records:
            if end - start < 32:
                too_short(end - start)
            flags, tid, comm, v0, g0, v1, = unpack(page, start)
            comm, g0, v1, = texts[comm, g0, v1, page[start + 32:end]]
            if g0 is None:
                v0 = None
            append([probe, time, cpu, tid, processes[tid], comm or "", contexts[flags & 255], [v0, v1], None])

Registers stay the bytes that the kernel wrote: few rows are ever asked for theirs, and a list of 21 numbers takes as
long as everything else of a row.

Only numbers that were computed here and the names above get into it, nothing that the kernel or a request says.
"""

from __future__ import annotations

import struct
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, NoReturn, Optional, Sequence, Tuple

from explorer.agent.ring_buffer import Record, RingBufferError

# TRACE_FLAG_* of include/linux/trace_events.h
_NMI = 0x40
_HARD_INTERRUPT = 0x08
_SOFT_INTERRUPT = 0x10

_FAULT_TEXT = b"(fault)\0"
_MOST_REMEMBERED = 1024
_MOST_RECORDS_REMEMBERED = 256
_LONGEST_REMEMBERED = 128

Row = List[Any]
"""As the protocol has it, registers as bytes: the frame has their hexadecimal digits."""
RowsDecoder = Callable[[bytes, Sequence[Record], int, int, Mapping[int, Optional[int]], Callable[[Row], None]], None]
"""Takes a page, records of it, whose page it is, the probe's number, the process of each thread, and what to call with
each row.

Raises:
    RingBufferError: A record is shorter than its event's format says, or points outside itself.
"""


class ValuePlace(NamedTuple):
    """Where in the tuple of a record's fixed fields a value stands.

    Attributes:
        place: The value's own.
        is_text: Whether it is the location of a text.
        guard: The place of the text that tells whether reading the value faulted; -1 for none.
    """

    place: int
    is_text: bool
    guard: int


class Places(NamedTuple):
    """The fixed fields of a record: how to unpack them, and where in the tuple each is.

    Attributes:
        registers: Where in the record their bytes are, from and to; None where they are not recorded.
    """

    fixed: struct.Struct
    flags: int
    tid: int
    comm: int
    values: Sequence[ValuePlace]
    registers: Optional[Tuple[int, int]]


class Texts(Dict[bytes, Optional[str]]):
    """Texts by their bytes in a record, those seen lately remembered; None for a read that faulted.

    A read that faulted has no length; kernels 6.2 to 6.4 write ``(fault)`` in its place.
    """

    def __missing__(self, data: bytes) -> Optional[str]:
        text = None
        if data and data != _FAULT_TEXT:
            text = data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        if len(data) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[data] = text
        return text


class TextsOfRecords(Dict[Tuple[Any, ...], Tuple[Optional[str], ...]]):
    """All texts of a record, by their locations and what lies behind its fixed fields; those seen lately remembered.

    In a flood the same few threads do the same few things: one look here is cheaper than one at each text.

    Args:
        fixed: Bytes of the fixed fields.

    Raises:
        RingBufferError: A text does not lie behind them and inside the record.
    """

    def __init__(self, fixed: int) -> None:
        super().__init__()
        self._fixed = fixed
        self._texts = Texts()

    def __missing__(self, key: Tuple[Any, ...]) -> Tuple[Optional[str], ...]:
        *locations, behind = key
        found = []
        for location in locations:
            begin = (location & 0xFFFF) - self._fixed
            end = begin + (location >> 16)
            if begin < 0 or end > len(behind):
                raise RingBufferError("a text lies outside its record")
            found.append(self._texts[behind[begin:end]])
        if len(behind) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_RECORDS_REMEMBERED:
                self.clear()
            self[key] = tuple(found)
        return tuple(found)


def compiled(places: Places) -> RowsDecoder:
    """The decoder for records of this form."""
    names: Dict[str, Any] = {
        "unpack": places.fixed.unpack_from, "texts": TextsOfRecords(places.fixed.size), "contexts": CONTEXTS,
        "too_short": _too_short,
    }  # fmt: skip
    exec(compile(source(places), "<rows of a probe>", "exec"), names)
    decoder: RowsDecoder = names["rows"]
    return decoder


def source(places: Places) -> str:
    """Its text."""
    fields = {places.flags: "flags", places.tid: "tid", places.comm: "comm"}
    texts, faults = ["comm"], []
    for number, value in enumerate(places.values):
        name = fields.setdefault(value.place, f"v{number}")
        if value.is_text:
            texts.append(name)
        elif value.guard >= 0:
            guard = fields[value.guard] = f"g{number}"
            texts.append(guard)
            faults += [f"if {guard} is None:", f"    {name} = None"]
    values = ", ".join(fields[value.place] for value in places.values)
    unpacked, registers = [fields[place] for place in sorted(fields)], "None"
    if places.registers is not None:
        first, last = places.registers
        registers = f"page[start + {first}:start + {last}]"
    located, row = ", ".join(texts), 'probe, time, cpu, tid, processes[tid], comm or "", contexts[flags & 255]'
    return "\n".join([
        "def rows(page, records, cpu, probe, processes, append):",
        "    for time, start, end, _ in records:",
        f"        if end - start < {places.fixed.size}:",
        "            too_short(end - start)",
        f"        {', '.join(unpacked)}, = unpack(page, start)",
        f"        {located}, = texts[{located}, page[start + {places.fixed.size}:end]]",
        *(f"        {line}" for line in faults),
        f"        append([{row}, [{values}], {registers}])",
    ])  # fmt: skip


def _too_short(size: int) -> NoReturn:
    raise RingBufferError(f"a record of {size} bytes is shorter than its format")


def context_name(flags: int) -> str:
    """What the processor was doing, from a record's ``common_flags``."""
    if flags & _NMI:
        return "nmi"
    if flags & _HARD_INTERRUPT:
        return "irq"
    return "softirq" if flags & _SOFT_INTERRUPT else "task"


CONTEXTS = tuple(map(context_name, range(256)))
"""The same for all that fits into its one byte."""
