"""What a hit costs the kernel, by what it put at the probed instruction: a table of conservative figures.

To measure the kernel's part one must flood it, which ``kexplore cost`` does when it is asked to; the explorer then
hands its figures on (``prices``). Until then the table errs on the dear side: a kprobe that records a dozen registers
and a name takes a few hundred nanoseconds on a machine of today through ftrace or a jump; an exception (int3, then a
single step) about three times as much; a return needs its second stop.
Orders: "Kprobe Overhead" in Documentation/trace/kprobes.rst (0.5 to 1 us, returns 50 to 75% more, jumps a tenth).
"""

from __future__ import annotations

from typing import Iterator, NamedTuple

from explorer.agent.failure import RequestError
from explorer.agent.probe_definition import ProbeRequest
from explorer.agent.protocol import Code, Message

_MOST_NS = 1_000_000_000

DECODE_NS = 500
"""The agent's own part of an event that comes out of the buffers, until a flood shows what it is here."""


class Prices(NamedTuple):
    """Nanoseconds that a hit takes in the kernel.

    Attributes:
        ftrace: Where ftrace calls the probe.
        jump: Where a jump leads to it.
        breakpoint: Where a breakpoint does.
        returned: What a return takes on top of the entry that it begins with.
        fprobe: An fprobe's entry, which a trigger counts: by the table three of a kprobe's (6.12, emulated).
        fprobe_returned: What an fprobe's return takes on top of that.
        bpf: What the bpf program takes on top of where ftrace calls the probe.
    """

    ftrace: int = 500
    jump: int = 500
    breakpoint: int = 1500
    returned: int = 750
    fprobe: int = 1500
    fprobe_returned: int = 750
    bpf: int = 600


TABLE = Prices()


def parse(message: Message) -> Prices:
    """Check a ``prices`` request; what is null in it is taken from the table.

    Raises:
        RequestError: Its numbers are none.
    """
    found = {}
    for name in Prices._fields:
        value = message.get(name)
        if value is not None and (type(value) is not int or not 0 < value <= _MOST_NS):
            raise RequestError(Code.BAD_REQUEST, f"the price {name} is null or a whole number up to {_MOST_NS:,}")
        if value is not None:
            found[name] = value
    return TABLE._replace(**found)


def dearest_ns(request: ProbeRequest, prices: Prices) -> int:
    """A hit of this probe, where it is not known how the kernel did it."""
    return max(prices.ftrace, prices.jump, prices.breakpoint) + _added_ns(request, prices)


def kernel_ns(request: ProbeRequest, kprobes: str, prices: Prices) -> int:
    """Nanoseconds that one hit takes in the kernel.

    Args:
        request: The probe.
        kprobes: debugfs' ``kprobes/list``, read while the probe is armed.
        prices: By mechanism.
    """
    if request.mechanism == "fprobe":
        return prices.fprobe + (prices.fprobe_returned if request.returns else 0)
    lines = kprobes.splitlines() if request.address is not None else _lines_about(kprobes, request.symbol)
    for line in lines:
        words = line.split()  # address, k or r, symbol+offset, perhaps the module, and the flags
        if len(words) >= 3 and _is_at(request, words[0], words[2], "[FTRACE]" in words[3:]):
            if "[FTRACE]" in words[3:]:
                return prices.ftrace + _added_ns(request, prices)
            if "[OPTIMIZED]" in words[3:]:
                return prices.jump + _added_ns(request, prices)
    return dearest_ns(request, prices)


def _lines_about(kprobes: str, symbol: str) -> Iterator[str]:
    """Those that have the symbol's name in them: each of hundreds of probes is looked up among hundreds of lines."""
    found = kprobes.find(symbol)
    while found >= 0:
        begin, end = kprobes.rfind("\n", 0, found) + 1, kprobes.find("\n", found)
        yield kprobes[begin : end if end >= 0 else len(kprobes)]
        found = kprobes.find(symbol, end) if end >= 0 else -1


def _is_at(request: ProbeRequest, address: str, place: str, by_ftrace: bool) -> bool:
    if request.address is not None:
        distance = int(address, 16) - request.address
        return 0 <= distance <= 16 if by_ftrace else distance == 0  # ftrace's call may follow an endbr
    symbol, _, offset = place.partition("+")
    return symbol == request.symbol and (int(offset or "0", 16) == request.offset or (by_ftrace and not request.offset))


def _added_ns(request: ProbeRequest, prices: Prices) -> int:
    """What a return takes besides, and what the bpf program does."""
    return (prices.returned if request.returns else 0) + (prices.bpf if request.engine == "bpf" else 0)
