"""One probe of the bpf engine: where it is, whether it is attached, what became of its hits."""

from __future__ import annotations

import errno
import os
from typing import List, NamedTuple, Optional, Tuple

from explorer.agent import bpf_calls, refusals
from explorer.agent.aggregation import Cells
from explorer.agent.bpf_calls import BpfCalls
from explorer.agent.bpf_records import RecordDecoder
from explorer.agent.bpf_tables import Counts
from explorer.agent.filter_conditions import Condition
from explorer.agent.kernel_text import KernelText
from explorer.agent.probe_definition import ProbeRequest
from explorer.agent.protocol import BPF_MISSED_SINCE


class Place(NamedTuple):
    """Where a probe is put.

    Attributes:
        symbol: A function of the kernel itself, or "" for an address.
        offset: Bytes from the symbol, or the address.
        words: For people.
    """

    symbol: str
    offset: int
    words: str


def place_of(request: ProbeRequest, text: KernelText, root: str) -> Place:
    """Where a request means.

    Raises:
        RequestError: There is no such place, or several.
    """
    if request.address is not None:
        return Place("", request.address, refusals.place_of_address(text, request.address))
    if request.module and not os.path.exists(os.path.join(root, "sys/module", request.module, "initstate")):
        raise refusals.module_not_loaded(request.module)
    if request.offset:
        refusals.check_offset(text, request)
    if not request.module:  # which the kernel finds faster than we do
        return Place(request.symbol, request.offset, request.place)
    found = text.instances(request.symbol, request.module)
    if len(found) != 1:
        error = OSError(errno.EADDRNOTAVAIL if found else errno.ENOENT, "")
        raise refusals.not_attached(error, request, request.place, text, root)
    return Place("", found[0].start + request.offset, request.place)


class BpfProbe:
    """A probe that is armed.

    Args:
        number: Its number.
        slot: Under which the program knows it.
        request: What it is.
        place: Where it is.

    Attributes:
        remaining: What of its filter the agent asks of each record.
        decoded: Records that came out of the buffer.
        shown: Those that became rows.
        rejected: Those that did not pass ``remaining``.
        missed: Hits that ran no program; 0 on kernels before 6.8, which do not tell.
        counts: The program's, when they were read last.
        call: What it has in common with the other end of a call.
        cells: What it counts in place of records; None: it records.
        unpaired_told: How many returns without an entry the explorer knows of.
    """

    def __init__(self, number: int, slot: int, request: ProbeRequest, place: Place) -> None:
        self.number = number
        self.slot = slot
        self.request = request
        self.decoder = RecordDecoder(request)
        self.remaining: Optional[Condition] = None
        self.decoded = self.shown = self.rejected = 0
        self.missed = 0
        self.counts = Counts()
        self.call = slot
        self.cells: Optional[Cells] = None
        self.unpaired_told = 0
        self._place = place
        self._link = -1
        self._missed_before = 0

    def attach(self, calls: BpfCalls, unit: Tuple[int, int], program: int) -> None:
        """Have the program run at its hits.

        Args:
            calls: To the kernel.
            unit: The kernel's kprobe unit.
            program: The program's descriptor.

        Raises:
            OSError: The kernel refused.
        """
        kind, bit = unit
        returns = bit if self.request.returns else None
        event = calls.probe(kind, returns, self._place.symbol, self._place.offset)
        try:
            self._link = calls.attach(program, event, self.slot)
        finally:
            os.close(event)  # the link holds it
        self._missed_before = self.missed

    def detach(self, calls: BpfCalls) -> None:
        """No longer; afterwards no hit is under way."""
        if self._link >= 0:
            self.look_for_missed(calls)
            os.close(self._link)
            self._link = -1

    def look_for_missed(self, calls: BpfCalls) -> None:
        """Bring ``missed`` up to date."""
        if self._link >= 0 and bpf_calls.release() >= BPF_MISSED_SINCE:
            self.missed = self._missed_before + calls.missed(self._link)

    @property
    def owes_records(self) -> bool:
        """Whether the program has written more of them than have come out, by its counts when they were read last."""
        hits, filtered, lost, _ = self.counts
        return self.request.aggregate is None and self.decoded < hits - filtered - lost

    def counters(self) -> List[int]:
        """As the protocol has them."""
        hits, filtered, lost, _ = self.counts
        if self.request.aggregate is not None:
            return [hits, self.missed, lost, filtered, hits - filtered - lost]
        not_shown = self.decoded - self.shown - self.rejected
        return [self.decoded + filtered + lost, self.missed, lost, filtered + self.rejected, not_shown]
