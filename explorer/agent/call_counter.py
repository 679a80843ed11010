"""The engine ``ftrace``: counts how often functions are called, with the function tracer of an instance of its own.

It records nothing but who was called, in few instructions, and hundreds of functions are armed and disarmed in one go.
The price: it knows entries of functions with a call site of ftrace only, and no arguments. Where buffers overflow, how
many calls were lost is exact over all functions together, and the count of each is a lower bound.
"""

from __future__ import annotations

import os
import time
from typing import Counter, Dict, Sequence

from explorer.agent.budget import Budget
from explorer.agent.buffers import Buffers
from explorer.agent.call_filter import CallFilter, Function
from explorer.agent.call_records import CallRecords
from explorer.agent.failure import RequestError
from explorer.agent.kernel_text import KernelText
from explorer.agent.protocol import Code
from explorer.agent.ring_buffer import PageLayout
from explorer.agent.tracefs import Tracefs, read

_BUFFER_KB = 4096
"""Of each processor's buffer: at 28 bytes a call and 20 readings a second, three million calls a second."""
_KERNEL_NS = 150
"""What a call costs the kernel; measured as function tracing's, some 100 ns, with something on top."""


class CallCounter:
    """Counts calls, from now until ``stop``.

    Args:
        root: The directory that the machine's file tree begins at.
        name: Of the instance.
        functions: What to count; all of them can be followed by ftrace, or are listed in ``absent``.
        budget: What counting may cost: calls a second of each function, and a share of one processor for all of them.

    Attributes:
        absent: Those of ``functions`` that ftrace cannot follow.
        places: How many places in the kernel's code are followed.
        calls: By address, as the function tracer gives it: some bytes behind the symbol's own on some machines.
        own: The agent's own calls, which are not in ``calls``.
        lost: Calls overwritten before they could be counted, of all functions together.
        dropped: Functions that were too hot for the budget and are not followed any more: for the address of each, how
            many seconds it was.
        began: When counting began, in seconds of the monotonic clock.

    Raises:
        RequestError: Nothing of it can be counted here.
        OSError: The kernel refused; nothing is left.
    """

    def __init__(self, root: str, name: str, functions: Sequence[Function], budget: Budget) -> None:
        self._root = root
        self._budget = budget
        self._tracefs = Tracefs(root)
        if "function" not in read(os.path.join(self._tracefs.path, "available_tracers")).split():
            raise RequestError(Code.KERNEL_CANNOT, "this kernel was built without CONFIG_FUNCTION_TRACER")
        self.calls: Counter[int] = Counter()
        self.own = self.lost = 0
        self.dropped: Dict[int, float] = {}
        self._instance = self._tracefs.instance(name)
        self._instance.create(_BUFFER_KB)
        try:
            listed = read(os.path.join(self._tracefs.path, "available_filter_functions"))
            self._filter = CallFilter(self._instance, listed)
            wanted, self.absent = self._filter.known(functions)
            if not wanted:
                raise RequestError(Code.KERNEL_CANNOT, "ftrace can follow none of these functions")
            self.places = self._filter.set(wanted)
            layout = PageLayout.parse(self._tracefs.header_page())
            self._records = CallRecords(layout, self._instance.format("ftrace/function"), os.getpid())
            self._instance.write("current_tracer", "function")  # refused as soon as a pipe is open
            self._buffers = Buffers(self._instance, layout, watched=0)
        except BaseException:
            self._instance.remove()
            raise
        self.began = self._looked = time.monotonic()
        self._spent = 0.0
        self._before: Counter[int] = Counter()
        self._lost_before = 0

    def drain(self) -> None:
        """Count what has been recorded; every 50 ms or so.

        Raises:
            RingBufferError: What came out is not what the kernel described.
        """
        begin = time.thread_time()
        for page in self._buffers.pages():
            self.own += self._records.count(page, self.calls)
        self._spent += time.thread_time() - begin

    def look(self) -> None:
        """Bring ``lost`` up to date and hold counting to its budget: the hottest functions are dropped."""
        self.lost = self._buffers.overwritten()
        now = time.monotonic()
        elapsed, spent = now - self._looked, self._spent
        new = self.calls - self._before
        counted = sum(new.values())
        self._looked, self._spent, self._before = now, 0.0, Counter(self.calls)
        lost, self._lost_before = self.lost - self._lost_before, self.lost
        if not counted or elapsed <= 0:
            return
        # What was lost cost the kernel as much; whose it was is not known: everybody's in proportion.
        cost = (spent + (counted + lost) * _KERNEL_NS / 1e9) / elapsed
        price = cost / counted
        for address, count in new.most_common():
            if not self._budget.exceeded_by(count / elapsed, cost):
                break
            cost -= count * price
            self._drop(address, now)

    def stop(self) -> None:
        """Count no more, and remove everything.

        Raises:
            OSError: Somebody has a file of the instance open.
        """
        self._instance.write("tracing_on", "0")  # another tracer would empty the buffers first
        self.drain()
        self.lost = self._buffers.overwritten()
        self.close()

    def close(self) -> None:
        """Remove everything, without the last counts.

        Raises:
            OSError: Somebody has a file of the instance open.
        """
        self._buffers.close()
        self._instance.remove()

    def _drop(self, address: int, now: float) -> None:
        place = KernelText(self._root).at(address)
        if place is None:
            return  # its module has gone meanwhile
        self._filter.leave([Function(place.symbol.name, place.symbol.module)])
        self.dropped[address] = now - self.began
