"""What a hit costs the kernel, by what it put at the probed instruction: a table of conservative figures.

Measured on this machine would be better, but to measure the kernel's part one must flood it. The table errs on the dear
side: a kprobe that records a dozen registers and a name takes a few hundred nanoseconds on a machine of today through
ftrace or a jump; an exception (int3, then a single step) about three times as much; a return needs its second stop.
Orders: "Kprobe Overhead" in Documentation/trace/kprobes.rst (0.5 to 1 us, returns 50 to 75% more, jumps a tenth).
"""

from __future__ import annotations

from explorer.agent.probe_definition import ProbeRequest

FTRACE_NS = 500
JUMP_NS = 500
BREAKPOINT_NS = 1500
RETURN_NS = 750
"""On top of the entry's."""

DECODE_NS = 500
"""The agent's own part of an event that comes out of the buffers, until a flood shows what it is here."""


def dearest_ns(request: ProbeRequest) -> int:
    """A hit of this probe, where it is not known how the kernel did it."""
    return BREAKPOINT_NS + _return_ns(request)


def kernel_ns(request: ProbeRequest, kprobes: str) -> int:
    """Nanoseconds that one hit takes in the kernel.

    Args:
        request: The probe.
        kprobes: debugfs' ``kprobes/list``, read while the probe is armed.
    """
    for line in kprobes.splitlines():
        words = line.split()  # address, k or r, symbol+offset, perhaps the module, and the flags
        if len(words) >= 3 and _is_at(request, words[0], words[2], "[FTRACE]" in words[3:]):
            if "[FTRACE]" in words[3:]:
                return FTRACE_NS + _return_ns(request)
            if "[OPTIMIZED]" in words[3:]:
                return JUMP_NS + _return_ns(request)
    return dearest_ns(request)


def _is_at(request: ProbeRequest, address: str, place: str, by_ftrace: bool) -> bool:
    if request.address is not None:
        distance = int(address, 16) - request.address
        return 0 <= distance <= 16 if by_ftrace else distance == 0  # ftrace's call may follow an endbr
    symbol, _, offset = place.partition("+")
    return symbol == request.symbol and (int(offset or "0", 16) == request.offset or (by_ftrace and not request.offset))


def _return_ns(request: ProbeRequest) -> int:
    return RETURN_NS if request.returns else 0
