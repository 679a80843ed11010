"""The filter of one probe as a request describes it, divided between the kernel and the agent.

The kernel rejects a hit before it costs anything, but compares whatever lies in the record: where reading memory
faulted, that is what some older record left there. So what it let pass on account of memory is asked once more here,
where a fault is known. What it rejects on such bytes was undecided anyway, and an undecided hit does not pass.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from explorer.agent.failure import RequestError
from explorer.agent.filter_conditions import Checker, Condition, everything
from explorer.agent.filter_text import joined, kernel_text
from explorer.agent.probe_definition import TEXTS, ProbeRequest
from explorer.agent.protocol import Code


class EventFilter(NamedTuple):
    """A filter that is well-formed.

    Attributes:
        kernel: The kernel's part in its language; "" for none.
        remaining: What the agent has to ask of each hit that the kernel let pass; None for nothing.
        whole: All of it; None when there is no filter.
        wanted: As it was asked for; None when there is no filter.
    """

    kernel: str
    remaining: Optional[Condition]
    whole: Optional[Condition]
    wanted: Optional[Dict[str, Any]] = None


NO_FILTER = EventFilter("", None, None)


def parse(wanted: object, request: ProbeRequest) -> EventFilter:
    """Check the ``filter`` member of a request.

    Args:
        wanted: Whatever the request has there; None for no filter.
        request: The probe.

    Raises:
        RequestError: It is no filter, or not one of this probe, or its kernel's part is more than the kernel can.
    """
    if wanted is None:
        return NO_FILTER
    if not isinstance(wanted, dict) or set(wanted) != {"kernel", "agent"}:
        raise _bad("a filter has a kernel's and an agent's part")
    checker = Checker([value.type in TEXTS for value in request.values])
    texts: List[str] = []
    remaining: List[Condition] = []
    whole: List[Condition] = []
    for part in ("kernel", "agent"):
        trees = wanted[part]
        if not isinstance(trees, list):
            raise _bad("each part of a filter is a list of conditions")
        for tree in trees:
            condition = checker.condition(tree)
            whole.append(condition)
            if part == "kernel":
                texts.append(kernel_text(tree, request))
            if part == "agent" or _reads_memory(tree, request):
                remaining.append(condition)
    return EventFilter(joined(texts), everything(remaining), everything(whole), wanted if whole else None)


def _reads_memory(tree: object, request: ProbeRequest) -> bool:
    """Whether a well-formed condition depends on a value that can fault."""
    if not isinstance(tree, list):
        return False
    if tree[0] in ("value", "text"):
        return bool(request.values[tree[1]].dereference)
    return any(_reads_memory(operand, request) for operand in tree[1:])


def _bad(message: str) -> RequestError:
    return RequestError(Code.BAD_REQUEST, message)
