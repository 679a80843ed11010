"""Whether a probe is to be an fprobe event or a kprobe event, and the probe put in an fprobe's terms.

fprobes hook functions through ftrace alone. Their events (since 6.5) know the arguments by number and the return value,
but no register, no offset and no module; a name that several functions share means all of them. Their hits are counted
only where a trigger does it, which costs more than the hit (see ``event_count``), and what they miss by nobody. Their
returns come out of a pool as kretprobes' do, and are missed in silence when it is empty, until 6.14; from then on they
keep their place on the thread's own shadow stack, with no pool.

So an fprobe is chosen where it gains something at no loss: for returns, on kernels with the shadow stack, where no
register is wanted. Everything else is a kprobe, which at an entry goes through ftrace as well.
"""

from __future__ import annotations

import os
from typing import Dict, NamedTuple, Optional, Tuple

from explorer.agent.failure import RequestError
from explorer.agent.kernel_text import SHADOW_STACK, KernelText
from explorer.agent.probe_definition import RESULTS, ProbeRequest, Value
from explorer.agent.protocol import Code
from explorer.agent.tracefs import Tracefs, read

_ARGUMENTS: Dict[str, Tuple[str, ...]] = {
    "x86_64": ("di", "si", "dx", "cx", "r8", "r9"),
    "aarch64": tuple(f"x{number}" for number in range(8)),
    "riscv64": tuple(f"a{number}" for number in range(8)),
}
"""The registers behind ``$arg1`` and so on (``regs_get_kernel_argument``)."""
_WORD = " f[:["
"""How tracing/README begins the line that tells of fprobe events."""
_TRIGGER_WORD = "hist:keys"


class Choice(NamedTuple):
    """How a probe is to be armed.

    Attributes:
        request: The probe, in the terms of its mechanism.
        cause: Why this mechanism.
    """

    request: ProbeRequest
    cause: str


def choose(request: ProbeRequest, machine: str, tracefs: Tracefs, text: KernelText) -> Choice:
    """Choose a mechanism for a probe, or follow what it asks for.

    Args:
        request: The probe; ``mechanism`` is "auto", "kprobe" or "fprobe".
        machine: The architecture as ``uname -m`` prints it.
        tracefs: To learn what the kernel can.
        text: To learn what a name means.

    Raises:
        RequestError: An fprobe is asked for and cannot do this.
    """
    if request.mechanism == "kprobe":
        return Choice(request, "asked for")
    put, cause = _as_fprobe(request, machine)
    readme = read(os.path.join(tracefs.path, "README"))
    if not cause and _WORD not in readme:
        cause = "this kernel has no fprobe events"
    if not cause and _TRIGGER_WORD not in readme:
        cause = "this kernel has no histograms to count an fprobe's hits (CONFIG_HIST_TRIGGERS)"
    if request.mechanism == "auto":
        cause = cause or _why_not_better(request, text)
    cause = cause or _why_not_one(request, text)
    if put is not None and not cause:
        wanted = request.mechanism == "fprobe"
        return Choice(put, "asked for" if wanted else "it needs no pool of returns, which can run empty")
    if request.mechanism == "fprobe":
        raise RequestError(Code.KERNEL_CANNOT, f"no fprobe here: {cause}", "--mechanism auto takes a kprobe then")
    return Choice(request._replace(mechanism="kprobe"), cause)


def _as_fprobe(request: ProbeRequest, machine: str) -> Tuple[Optional[ProbeRequest], str]:
    """The probe in an fprobe's terms, or why there are none for it."""
    if request.registers:
        return None, "an fprobe records no registers, which the inspector shows"
    if request.address is not None or request.offset or request.module:
        return None, "an fprobe knows a function of the kernel itself by its name only"
    values = []
    for value in request.values:
        source = _source(value, request.returns, machine)
        if source is None:
            return None, f"an fprobe cannot read {value.source} there"
        values.append(value._replace(source=source))
    return request._replace(values=tuple(values), mechanism="fprobe"), ""


def _source(value: Value, returns: bool, machine: str) -> Optional[str]:
    register = value.source[1:] if value.source.startswith("%") else ""
    if not register:
        return value.source
    if returns:
        return "$retval" if register == RESULTS.get(machine) else None
    known = _ARGUMENTS.get(machine, ())
    return f"$arg{known.index(register) + 1}" if register in known else None


def _why_not_better(request: ProbeRequest, text: KernelText) -> str:
    if not request.returns:
        return "at an entry it goes through ftrace as well, and the kernel counts its hits"
    if request.maxactive:
        return "an fprobe has no pool of returns to be sized"
    if text.mark(SHADOW_STACK) is None:
        return "fprobes of this kernel miss returns without counting them, as all did before 6.14"
    return ""


def _why_not_one(request: ProbeRequest, text: KernelText) -> str:
    number = len(text.instances(request.symbol))
    return (
        "" if number == 1 else f"{number} functions are called {request.symbol}, and an fprobe would mean all of them"
    )
