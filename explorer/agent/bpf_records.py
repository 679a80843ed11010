"""The records of the bpf program turned into rows."""

from __future__ import annotations

import struct
import sys
from typing import Any, List, Optional, Tuple

from explorer.agent import bpf_layout
from explorer.agent.filter_conditions import Condition, Sighted
from explorer.agent.kernel_text import KernelText
from explorer.agent.number_types import SIZES
from explorer.agent.probe_definition import ProbeRequest
from explorer.agent.row_code import Row, Texts

_CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "s8": "b", "s16": "h", "s32": "i", "s64": "q"}
# include/linux/preempt.h
_NMI, _HARD_INTERRUPT, _SOFT_INTERRUPT = 0xF00000, 0x0F0000, 0x000100


class RecordDecoder:
    """Decodes the records of one probe.

    Args:
        request: The probe.
    """

    def __init__(self, request: ProbeRequest) -> None:
        codes = [bpf_layout.HEAD.format, *(_slot(value.type) for value in request.values)]
        self._struct = struct.Struct("".join(codes))
        begin = self._struct.size
        self._registers = slice(begin, begin + 8 * len(request.registers)) if request.registers else None
        self._plan = [value.type not in SIZES for value in request.values]
        self._stacks = bool(request.stacks)
        self._texts = Texts()

    def row(self, record: bytes, probe: int) -> Row:
        """A row of the protocol.

        Args:
            record: As the program wrote it.
            probe: The probe's number.
        """
        raw = self._struct.unpack_from(record)
        values = self._read(record, raw)
        registers = record[self._registers] if self._registers is not None else None
        row = [probe, raw[0], raw[6], raw[3], raw[4], self._texts[raw[10]] or "", _context(raw[5]), values, registers]
        if self._stacks:
            row.append(_stacks(record, raw[7], raw[8]))
        return row

    def passes(self, record: bytes, condition: Condition) -> bool:
        """Whether a record meets a condition."""
        raw = self._struct.unpack_from(record)
        values = self._read(record, raw)
        return condition(_Recorded(raw, values, self._texts[raw[10]] or "")) is True

    def _read(self, record: bytes, raw: Tuple[Any, ...]) -> List[Any]:
        values: List[Any] = []
        faults, at = raw[1], _HEAD_FIELDS
        for number, is_text in enumerate(self._plan):
            if is_text:
                begin = bpf_layout.HEAD.size + raw[at]
                values.append(None if faults >> number & 1 else self._texts[record[begin : begin + raw[at + 1]]])
                at += 2
            else:
                values.append(None if faults >> number & 1 else raw[at])
                at += 1
        return values


_HEAD_FIELDS = 11


class _Recorded(Sighted):
    """A record that a condition asks."""

    __slots__ = ("_comm", "_raw", "_values")

    def __init__(self, raw: Tuple[Any, ...], values: List[Any], comm: str) -> None:
        self._raw, self._values, self._comm = raw, values, comm

    def value(self, index: int) -> Any:
        return self._values[index]

    def comm(self) -> str:
        return self._comm

    def tid(self) -> int:
        tid: int = self._raw[3]
        return tid

    def pid(self) -> Optional[int]:
        pid: int = self._raw[4]
        return pid

    def cpu(self) -> int:
        cpu: int = self._raw[6]
        return cpu


def _slot(kind: str) -> str:
    """The eight bytes of a value, as ``struct`` unpacks them."""
    if kind not in _CODES:
        return "II"
    padding = 8 - SIZES[kind]
    return f"{_CODES[kind]}{padding}x" if sys.byteorder == "little" else f"{padding}x{_CODES[kind]}"


def _stacks(record: bytes, kernel: int, user: int) -> List[List[int]]:
    """The addresses of both stacks, innermost first: they end the record."""
    begin = len(record) - 8 * (kernel + user)
    addresses = struct.unpack_from(f"={kernel + user}Q", record, begin)
    return [list(addresses[:kernel]), list(addresses[kernel:])]


def _context(preempt_count: int) -> str:
    if preempt_count & _NMI:
        return "nmi"
    if preempt_count & _HARD_INTERRUPT:
        return "irq"
    return "softirq" if preempt_count & _SOFT_INTERRUPT else "task"


def context_of(text: KernelText) -> Optional[Tuple[int, int]]:
    """Where a processor's preempt count lies: its distance from the processor's own memory, and the table of those.

    Where it is not known, every event reads as one of a task.
    """
    offsets = text.instances("__per_cpu_offset")
    alone, together = text.instances("__preempt_count"), text.instances("pcpu_hot")
    if not offsets or not (alone or together):
        return None
    # struct pcpu_hot (6.2 to 6.14) begins with a pointer to the current task.
    return (alone[0].start if alone else together[0].start + 8), offsets[0].start
