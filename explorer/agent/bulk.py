"""Many probes by one request: each is armed, or refused, for itself; they are stopped together.

The kernel takes as long for the definition and the switch of a probe however many are written at once, so what is saved
is what surrounds them: an exchange of messages, a look at all counts and at all buffers for each.
"""

from __future__ import annotations

from typing import List

from explorer.agent import protocol
from explorer.agent.engine import Engine
from explorer.agent.failure import RequestError
from explorer.agent.protocol import Code, Message


def arm(engine: Engine, message: Message) -> List[Message]:
    """Arm the probes of an ``arm_many`` request, in their order.

    Returns:
        A RESULT of the protocol for each.

    Raises:
        RequestError: The request is none; then nothing has been armed.
    """
    probes = message.get("probes")
    if not isinstance(probes, list) or not 0 < len(probes) <= protocol.MOST_AT_ONCE:
        raise RequestError(Code.BAD_REQUEST, f"arm_many has probes: a list of 1 to {protocol.MOST_AT_ONCE}")
    if not all(isinstance(each, dict) and each.keys() <= {"probe", "filter"} for each in probes):
        raise RequestError(Code.BAD_REQUEST, "each of arm_many's probes has a probe and a filter")
    return [_arm(engine, each) for each in probes]


def _arm(engine: Engine, wanted: Message) -> Message:
    try:
        armed = engine.arm(wanted.get("probe"), wanted.get("filter"))
    except RequestError as refused:
        return {"code": refused.code.value, "message": refused.message, "hint": refused.hint}
    return {"probe": armed.probe, "event": armed.event, "definition": armed.definition}


def numbers(message: Message) -> List[object]:
    """The probes of a ``disarm_many`` request, which need not be armed.

    Raises:
        RequestError: The request is none.
    """
    probes = message.get("probes")
    if not isinstance(probes, list) or not 0 < len(probes) <= protocol.MOST_AT_ONCE:
        raise RequestError(Code.BAD_REQUEST, f"disarm_many has probes: a list of 1 to {protocol.MOST_AT_ONCE} numbers")
    if not all(type(number) is int for number in probes) or len(set(probes)) < len(probes):
        raise RequestError(Code.BAD_REQUEST, "disarm_many's probes are numbers, each of them once")
    return list(probes)
