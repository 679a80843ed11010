"""Hits that are counted in the kernel instead of being recorded: by a key, and by the size of a number.

A number falls in one of the *steps* that every power of two is divided into, so a percentile is off by less than 1%
whatever the range. A call's time is taken between two probes, of which the first says what it is counted by.
"""

from __future__ import annotations

import enum
import struct
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from explorer.agent.failure import RequestError
from explorer.agent.number_types import SIZES
from explorer.agent.protocol import Code

_KEYS = {"comm": 1, "pid": 2, "tid": 3, "cpu": 4}
_BY_VALUE, _OF_VALUE, _OF_LATENCY = 5, 1, 2
_UNREAD = "(fault)"

CELL = struct.Struct("=IIQQQ")
"""Probe, step, the two words of the key, and what kind of cell it is (``CellKind``)."""
SUM = struct.Struct("=QQ")
"""How many hits a cell holds, and the sum of what was measured."""

Cell = List[Any]
"""``[key, step, count, total]``, as the protocol has it."""


class CellKind(enum.IntFlag):
    """What of a cell is otherwise than usual; as in the program."""

    NEGATIVE = 1
    NUMBER_UNREAD = 2
    KEY_UNREAD = 4


class Aggregation(NamedTuple):
    """What a probe counts.

    Attributes:
        role: "begins" or "ends", of a call; "" for a probe by itself.
        by: "comm", "pid", "tid", "cpu" or "value"; "" for one count of all.
        by_value: Which value, by its place.
        of: "value", "latency", or "" for hits alone.
        of_value: Which value.
    """

    role: str
    by: str
    by_value: int
    of: str
    of_value: int


def parse(wanted: object, types: Sequence[str], returns: bool) -> Optional[Aggregation]:
    """Check the ``aggregate`` member of a probe.

    Args:
        wanted: Whatever the request has there; None for none.
        types: Of the probe's values.
        returns: Whether it is a return probe.

    Raises:
        RequestError: It is not one of this probe.
    """
    if wanted is None:
        return None
    if not isinstance(wanted, dict) or not wanted.keys() <= {"role", "by", "of"}:
        raise _bad("an aggregate has a role, a key (by) and a number (of)")
    role, by, of = wanted.get("role"), wanted.get("by"), wanted.get("of")
    if role not in (None, "begins", "ends") or (role == "begins" and (returns or of is not None)):
        raise _bad(f"an aggregate has no role {role!r} there")
    if role == "ends" and (not returns or by is not None):
        raise _bad("a call ends with its return, and its entry says what it is counted by")
    if of == "latency" and role != "ends":
        raise _bad("only the end of a call tells how long it took")
    if isinstance(by, str) and by in _KEYS:
        key, key_value = by, 0
    else:
        key, key_value = _value(by, types)
    if of == "latency":
        number, number_value = "latency", 0
    else:
        number, number_value = _value(of, types)
    return Aggregation(role or "", key, key_value, number, number_value)


def _value(wanted: object, types: Sequence[str]) -> Tuple[str, int]:
    if wanted is None:
        return "", 0
    if not isinstance(wanted, list) or len(wanted) != 2 or wanted[0] != "value" or type(wanted[1]) is not int:
        raise _bad(f"nothing is counted by {wanted!r}")
    if not 0 <= wanted[1] < len(types) or types[wanted[1]] not in SIZES:
        raise _bad(f"the probe has no number {wanted[1]}")
    return "value", wanted[1]


def packed(aggregation: Aggregation, types: Sequence[str]) -> Tuple[int, ...]:
    """Its members of a setting of the bpf program."""
    by = _BY_VALUE if aggregation.by == "value" else _KEYS.get(aggregation.by, 0)
    of = {"value": _OF_VALUE, "latency": _OF_LATENCY, "": 0}[aggregation.of]
    return (
        by, aggregation.by_value, *_moves(types, aggregation.by, aggregation.by_value),
        of, aggregation.of_value, *_moves(types, aggregation.of, aggregation.of_value),
    )  # fmt: skip


def _moves(types: Sequence[str], what: str, value: int) -> Tuple[int, int]:
    if what != "value":
        return 0, 0
    return 64 - 8 * SIZES[types[value]], int(types[value].startswith("s"))


class Cells:
    """The cells of one probe, and which of them are new since they were told.

    Args:
        aggregation: What it counts; of the end of a call, with its beginning's key.
        types: Of the values of the probe that has the key.
    """

    def __init__(self, aggregation: Aggregation, types: Sequence[str]) -> None:
        self._by = aggregation.by
        self._signed = aggregation.by == "value" and types[aggregation.by_value].startswith("s")
        self._told: Dict[bytes, bytes] = {}

    def news(self, found: Dict[bytes, bytes]) -> List[Cell]:
        """Those of these that changed, with their totals."""
        changed = [(key, value) for key, value in found.items() if self._told.get(key) != value]
        self._told.update(changed)
        return [self._cell(key, value) for key, value in changed]

    def _cell(self, key: bytes, value: bytes) -> Cell:
        _, step, first, second, kind = CELL.unpack(key)
        count, total = SUM.unpack(value)
        if kind & CellKind.NUMBER_UNREAD:
            return [self._key(first, second, kind), None, count, 0]
        negative = bool(kind & CellKind.NEGATIVE)
        return [self._key(first, second, kind), -step if negative else step, count, -total if negative else total]

    def _key(self, first: int, second: int, kind: int) -> Any:
        if kind & CellKind.KEY_UNREAD:
            return _UNREAD
        if self._by == "comm":
            words = first.to_bytes(8, sys.byteorder) + second.to_bytes(8, sys.byteorder)
            return words.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        if not self._by:
            return None
        return first - (1 << 64) if self._signed and first >> 63 else first


def _bad(message: str) -> RequestError:
    return RequestError(Code.BAD_REQUEST, message)
