"""What ``kexplore doctor`` says of the ways to probe and to count, and of debug information."""

from __future__ import annotations

from collections.abc import Iterator

from explorer.agent.hit_cost import Prices
from explorer.commands.finding import Finding, Standing
from explorer.session import prices
from explorer.session.hello import Hello
from explorer.session.session import Session
from symbols.errors import KexploreError


def engines(hello: Hello) -> Iterator[Finding]:
    """Whether returns can be fprobes, and whether calls can be counted without events."""
    if not hello.can_probe:
        return
    if hello.features.get("fprobe"):
        yield Finding("fprobes", Standing.GOOD, "trace takes one where that loses nothing, and says why")
    else:
        yield Finding("fprobes", Standing.LESS, "this kernel has no fprobe events (6.5): every probe is a kprobe")
    if hello.features.get("function_tracer"):
        yield Finding("counting", Standing.GOOD, "kexplore count follows hundreds of functions through ftrace")
    else:
        cause = "this kernel was built without CONFIG_FUNCTION_TRACER: kexplore count takes returns and offsets only"
        yield Finding("counting", Standing.LESS, cause)


def bpf(hello: Hello) -> Finding:
    """Whether the bpf engine could be used, told without loading bcc."""
    if hello.no_probes:
        return Finding("bpf engine", Standing.BAD, "it needs probes, too")
    refusal = hello.bpf_refusal()
    if refusal is not None:
        return Finding("bpf engine", Standing.LESS, refusal.message, refusal.hint)
    return Finding("bpf engine", Standing.GOOD, "bcc and the kernel's headers are there")


def hit_cost(hello: Hello, known: Prices) -> Iterator[Finding]:
    """What a hit costs here, and whether that was measured."""
    if not hello.can_probe:
        return
    figures = (
        f"an entry {known.ftrace:,} ns, its return {known.returned:,} more; "
        f"inside a function {known.jump:,} by a jump, {known.breakpoint:,} by a breakpoint"
    )
    when = prices.measured_on(hello)
    if when is not None:
        yield Finding("hit cost", Standing.GOOD, f"{figures} (measured here on {when})")
    else:
        words = f"{figures} (a table: never measured here, so the guard may err)"
        yield Finding("hit cost", Standing.LESS, words, "sudo kexplore cost")


async def debuginfo(current: Session) -> Finding:
    """Where the kernel's debug information is, or how to get it."""
    use = "source lines, inlined copies, prototypes that BTF lacks"
    try:
        path = await current.debuginfo.path()
    except KexploreError as error:
        return Finding("debuginfo", Standing.LESS, f"{error.message} ({use})", error.hint)
    return Finding("debuginfo", Standing.GOOD, f"{path} ({use})")
