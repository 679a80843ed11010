"""Many probes by one request: each is armed, or refused, for itself; they are stopped together.

The kernel takes as long for the definition and the switch of a probe however many are written at once, so what is saved
is what surrounds them: an exchange of messages, a look at all counts and at all buffers for each.
"""

from __future__ import annotations

from typing import List, Optional

from explorer.agent import protocol
from explorer.agent.failure import RequestError
from explorer.agent.guarded_engine import GuardedEngine
from explorer.agent.protocol import Code, Message


def arm(engine: GuardedEngine, message: Message) -> List[Message]:
    """Arm the probes of an ``arm_many`` request, in their order.

    Returns:
        A RESULT of the protocol for each.

    Raises:
        RequestError: The request is none; then nothing has been armed.
    """
    probes = message.get("probes")
    if not isinstance(probes, list) or not 0 < len(probes) <= protocol.MOST_AT_ONCE:
        raise RequestError(Code.BAD_REQUEST, f"arm_many has probes: a list of 1 to {protocol.MOST_AT_ONCE}")
    if not all(isinstance(each, dict) and each.keys() <= {"probe", "filter", "pair"} for each in probes):
        raise RequestError(Code.BAD_REQUEST, "each of arm_many's probes has a probe and a filter")
    for place, each in enumerate(probes):
        before, paired = probes[place - 1] if place else {}, each.get("pair", False)
        if not isinstance(paired, bool) or (paired and (_kind(before), _kind(each)) != ("entry", "return")):
            raise RequestError(Code.BAD_REQUEST, "a return makes a pair with the entry right before it")
    results: List[Message] = []
    for each in probes:
        results.append(_arm(engine, each, results[-1] if each.get("pair") else None))
    return results


def must_wait(engine: GuardedEngine, message: Message) -> bool:
    """Whether a request waits for the bpf program; it may be well-formed or not."""
    if message["op"] == "prepare":
        return engine.must_wait({"engine": "bpf"})
    if message["op"] == "arm":
        return engine.must_wait(message.get("probe"))
    probes = message.get("probes")
    if message["op"] != "arm_many" or not isinstance(probes, list):
        return False
    return any([engine.must_wait(each.get("probe")) for each in probes if isinstance(each, dict)])


def _kind(wanted: Message) -> object:
    probe = wanted.get("probe")
    return probe.get("kind") if isinstance(probe, dict) else None


def _arm(engine: GuardedEngine, wanted: Message, entry: Optional[Message]) -> Message:
    if entry is not None and "probe" not in entry:
        return entry  # why its entry was refused
    try:
        armed = engine.arm(wanted.get("probe"), wanted.get("filter"), entry["probe"] if entry is not None else None)
    except RequestError as refused:
        return {"code": refused.code.value, "message": refused.message, "hint": refused.hint}
    if entry is not None:
        engine.pair(entry["probe"], armed.probe)
    return armed._asdict()


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
