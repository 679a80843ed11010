"""The maps of the bpf program, in the terms of probes: what each is to do, and what it has counted.

A probe has a *slot*, under which the program finds what to do, and counts.
"""

from __future__ import annotations

import os
import struct
from typing import Container, Iterator, NamedTuple, Tuple

from explorer.agent import bpf_layout
from explorer.agent.aggregation import CELL, SUM
from explorer.agent.bpf_calls import BpfCalls
from explorer.agent.bpf_program import Program, possible_cpus

KEY = struct.Struct("=I")
"""A slot, or a process."""
_CALL = struct.Struct("=QII")
"""The key of a call under way: stack pointer, call, thread."""


class Counts(NamedTuple):
    """Of one probe, since it was armed."""

    hits: int = 0
    filtered: int = 0
    lost: int = 0
    unpaired: int = 0


class Tables:
    """The maps.

    Args:
        program: Whose.
        calls: To the kernel.
        root: The directory that the machine's file tree begins at.
    """

    def __init__(self, program: Program, calls: BpfCalls, root: str) -> None:
        self._program = program
        self._calls = calls
        self._count_size = bpf_layout.COUNT.size * possible_cpus(root)

    def configure(self, context: Tuple[int, int], *, focused: bool) -> None:
        """Set what holds for all probes.

        Args:
            context: Where a processor's preempt count lies; see ``bpf_records.context_of``.
            focused: Whether only processes in the focus count.
        """
        packed = bpf_layout.CONFIGURATION.pack(os.getpid(), focused, *context)
        self._calls.update(self._program.configuration, bytes(4), packed)

    def set(self, slot: int, setting: bytes) -> None:
        """What a probe is to do from now on."""
        self._calls.update(self._program.settings, KEY.pack(slot), setting)

    def reset(self, slot: int) -> None:
        """A new probe has counted nothing."""
        self._calls.update(self._program.counts, KEY.pack(slot), bytes(self._count_size))

    def counts(self, slot: int) -> Counts:
        """What a probe has counted on all processors."""
        found = self._calls.look_up(self._program.counts, KEY.pack(slot), self._count_size) or b""
        by_cpu = list(bpf_layout.COUNT.iter_unpack(found))
        return Counts(*(sum(one[place] for one in by_cpu) for place in range(len(Counts._fields))))

    def cells(self, slots: Container[int]) -> Iterator[Tuple[int, bytes, bytes]]:
        """The cells of some probes: slot, key and sums."""
        for key in list(self._calls.keys(self._program.cells, CELL.size)):
            slot = CELL.unpack(key)[0]
            value = self._calls.look_up(self._program.cells, key, SUM.size) if slot in slots else None
            if value is not None:
                yield slot, key, value

    def forget(self, slot: int, *, cells: bool, calls: bool) -> None:
        """A probe is gone.

        Args:
            slot: The probe's.
            cells: Whether it had cells.
            calls: Whether it began calls.
        """
        self._calls.delete(self._program.settings, KEY.pack(slot))
        if cells:
            for _, key, _ in self.cells((slot,)):
                self._calls.delete(self._program.cells, key)
        if calls:
            for key in list(self._calls.keys(self._program.calls, _CALL.size)):
                if _CALL.unpack(key)[1] == slot:
                    self._calls.delete(self._program.calls, key)
