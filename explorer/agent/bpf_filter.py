"""Filters as operations of the bpf program, which decides them before a hit costs a record.

What can be decided there exactly is; the rest is left to the agent. A number has a range that is known beforehand, and
is computed in 64 bits only where nothing can overflow: a filter means the same wherever it is decided.

Every comparison goes on at one of three places: where it holds, where it does not, and where it is unknown as a value
could not be read. An unknown condition does not let a hit pass, nor does its opposite: that third place is always one
of the other two.
"""

from __future__ import annotations

import sys
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from explorer.agent.bpf_layout import ACCEPT, MOST_OPERATIONS, REJECT, Operate, Operation, Word
from explorer.agent.filter_conditions import Checker, Condition, everything
from explorer.agent.number_types import SIZES
from explorer.agent.probe_definition import TEXTS, ProbeRequest

_KEPT = 8
_LEAST, _MOST = -(1 << 63), 1 << 63
_COMM = 16
_WORDS: Dict[str, Tuple[Word, int]] = {
    "tid": (Word.TID, 1 << 32),
    "pid": (Word.PID, 1 << 32),
    "cpu": (Word.CPU, 1 << 16),
}
_OPPOSITES = {"!=": "==", ">=": "<", "<=": ">"}


class BpfFilter(NamedTuple):
    """A filter, divided.

    Attributes:
        operations: What the program decides.
        remaining: What the agent has to ask of each hit that passes; None for nothing.
    """

    operations: Sequence[Operation]
    remaining: Optional[Condition]


class _Beyond(Exception):
    """The program cannot decide this."""


class _Number(NamedTuple):
    """Operations that leave a number, and the least and the most that it can be."""

    operations: List[Operation]
    least: int
    most: int

    @property
    def constant(self) -> Optional[int]:
        """Itself, if it was written down: what can only be one number may still be one that cannot be read."""
        return self.least if [each.code for each in self.operations] == [Operate.LOAD_CONSTANT] else None


def divide(wanted: Optional[Dict[str, Any]], request: ProbeRequest) -> BpfFilter:
    """Divide a filter between the program and the agent.

    Args:
        wanted: A filter that ``event_filter.parse`` has accepted.
        request: The probe.
    """
    checker = Checker([value.type in TEXTS for value in request.values])
    operations: List[Operation] = []
    remaining: List[Condition] = []
    for tree in [*wanted["kernel"], *wanted["agent"]] if wanted else []:
        condition = checker.condition(tree)
        try:
            compiled = _Compiler(request).condition(tree, ACCEPT, REJECT, REJECT)
            if len(operations) + len(compiled) > MOST_OPERATIONS - 1:
                raise _Beyond
        except _Beyond:
            remaining.append(condition)
        else:
            operations = _followed(operations, compiled)
    return BpfFilter(operations or [], everything(remaining))


def _followed(first: Sequence[Operation], second: Sequence[Operation]) -> List[Operation]:
    """Where the first accepts, the second goes on."""
    begin = len(first)
    return [_moved(each, {ACCEPT: begin}, 0) for each in first] + [_moved(each, {}, begin) for each in second]


def _moved(operation: Operation, to: Dict[int, int], by: int) -> Operation:
    def place(old: int) -> int:
        return to.get(old, old if old >= REJECT else old + by)

    return operation._replace(
        then=place(operation.then), otherwise=place(operation.otherwise), unknown=place(operation.unknown)
    )


class _Compiler:
    """Compiles one condition; places are counted from its first operation."""

    def __init__(self, request: ProbeRequest) -> None:
        self._request = request
        self._kept = 0

    def condition(self, tree: Any, then: int, otherwise: int, unknown: int, begin: int = 0) -> List[Operation]:
        """Operations that begin at ``begin`` and go on at one of three places."""
        name, operands = tree[0], tree[1:]
        if name == "not":
            return self.condition(operands[0], otherwise, then, unknown, begin)
        if name in ("and", "or"):
            return self._junction(name, operands, (then, otherwise, unknown), begin)
        if name in _OPPOSITES:
            return self.condition([_OPPOSITES[name], *operands], otherwise, then, unknown, begin)
        if name == "~" or isinstance(operands[1], str):
            return self._text(name, operands, then, otherwise, begin)
        if name == ">":
            operands = operands[::-1]
        return self._comparison(Operate.EQUAL if name == "==" else Operate.LESS, operands, (then, otherwise, unknown))

    def _junction(self, name: str, parts: List[Any], targets: Tuple[int, int, int], begin: int) -> List[Operation]:
        then, otherwise, unknown = targets
        # From the last to the first, as each has to know how long those behind it are: their lengths do not depend on
        # where they stand.
        lengths = [len(self.condition(part, ACCEPT, REJECT, REJECT, 0)) for part in parts]
        compiled: List[Operation] = []
        for number, part in enumerate(parts):
            place = begin + len(compiled)
            if number + 1 == len(parts):
                compiled += self.condition(part, then, otherwise, unknown, place)
            else:
                following = place + lengths[number]
                ends = (following, otherwise) if name == "and" else (then, following)
                # Where unknown is not what this part may decide, the next part may still decide it.
                decisive = otherwise if name == "and" else then
                compiled += self.condition(part, *ends, unknown if unknown == decisive else following, place)
        return compiled

    def _comparison(self, code: Operate, operands: List[Any], targets: Tuple[int, int, int]) -> List[Operation]:
        then, otherwise, unknown = targets
        self._kept = 0
        left, right = (self._number(operand) for operand in operands)
        signed = left.least < 0 or right.least < 0
        if signed and (left.most >= _MOST or right.most >= _MOST):
            raise _Beyond  # only more than 64 bits would tell them apart
        if code is Operate.LESS and signed:
            code = Operate.LESS_SIGNED
        computed, last = self._combined(left, right, Operation(code, then=then, otherwise=otherwise))
        return [each._replace(unknown=unknown) for each in [*computed, last]]

    def _text(self, name: str, operands: List[Any], then: int, otherwise: int, begin: int) -> List[Operation]:
        of, wanted = operands
        if of != ["comm"]:
            raise _Beyond
        text = wanted.encode("utf-8", "surrogateescape")
        whole = True
        if name == "~":
            if text.endswith(b"*") and not text.endswith(b"\\*"):
                text, whole = text[:-1], False
            if any(special in text for special in b"*?[\\"):
                raise _Beyond
        if len(text) >= _COMM:  # it holds up to 15 bytes
            return self._always(False, then, otherwise)
        mask = b"\xff" * (_COMM if whole else len(text))
        halves = [
            (word, int.from_bytes(text.ljust(_COMM, b"\0")[at : at + 8], sys.byteorder),
             int.from_bytes(mask.ljust(_COMM, b"\0")[at : at + 8], sys.byteorder))
            for word, at in ((Word.COMM_BEGIN, 0), (Word.COMM_END, 8))
        ]  # fmt: skip
        asked = [half for half in halves if half[2]]
        if not asked:
            return self._always(True, then, otherwise)
        operations: List[Operation] = []
        for number, (word, constant, bits) in enumerate(asked):
            following = then if number + 1 == len(asked) else begin + 3 * (number + 1)
            operations += [
                Operation(Operate.LOAD_WORD, word),
                Operation(Operate.AND, constant=bits),
                Operation(Operate.EQUAL, then=following, otherwise=otherwise, constant=constant),
            ]
        return operations

    def _always(self, holds: bool, then: int, otherwise: int) -> List[Operation]:
        target = then if holds else otherwise
        return [Operation(Operate.EQUAL, then=target, otherwise=target)]

    def _number(self, tree: Any) -> _Number:
        if isinstance(tree, int):
            return _Number([Operation(Operate.LOAD_CONSTANT, constant=tree & (2 * _MOST - 1))], tree, tree)
        name, operands = tree[0], tree[1:]
        if name == "value":
            return self._value(operands[0])
        if name in _WORDS:
            word, limit = _WORDS[name]
            return _Number([Operation(Operate.LOAD_WORD, word)], 0, limit - 1)
        left, right = (self._number(operand) for operand in operands)
        code, least, most = _computed(name, left, right)
        if least < _LEAST or most >= 2 * _MOST or (least < 0 and most >= _MOST):
            raise _Beyond
        operations, last = self._combined(left, right, Operation(code))
        return _Number([*operations, last], least, most)

    def _value(self, index: int) -> _Number:
        kind = self._request.values[index].type
        bits, signed = 8 * SIZES[kind], kind.startswith("s")
        load = Operation(Operate.LOAD_VALUE, index, shift=64 - bits, signed=signed)
        return _Number([load], -(1 << bits - 1) if signed else 0, (1 << bits - signed) - 1)

    def _combined(self, left: _Number, right: _Number, last: Operation) -> Tuple[List[Operation], Operation]:
        """Operations that leave the left number, and the last one with the right one in it."""
        if right.constant is not None:
            return left.operations, last._replace(constant=right.constant & (2 * _MOST - 1))
        if self._kept >= _KEPT:
            raise _Beyond
        place, self._kept = self._kept, self._kept + 1
        return (
            [*right.operations, Operation(Operate.KEEP, place), *left.operations],
            last._replace(argument=place, kept=1),
        )


def _computed(name: str, left: _Number, right: _Number) -> Tuple[Operate, int, int]:
    """The operation, and the least and the most that it can leave."""
    ends = [(one, other) for one in (left.least, left.most) for other in (right.least, right.most)]
    if name == "+":
        return Operate.ADD, left.least + right.least, left.most + right.most
    if name == "-":
        return Operate.SUBTRACT, left.least - right.most, left.most - right.least
    if name == "*":
        products = [one * other for one, other in ends]
        return Operate.MULTIPLY, min(products), max(products)
    if name in ("<<", ">>"):
        if right.constant is None or not 0 <= right.constant < 64:
            raise _Beyond
        if name == "<<":
            return Operate.SHIFT_LEFT, left.least << right.constant, left.most << right.constant
        code = Operate.SHIFT_RIGHT if left.least >= 0 else Operate.SHIFT_RIGHT_SIGNED
        return code, left.least >> right.constant, left.most >> right.constant
    codes = {"&": Operate.AND, "|": Operate.OR, "^": Operate.XOR}
    if name not in codes:
        raise _Beyond
    if left.least >= 0 and right.least >= 0:
        bits = max(left.most.bit_length(), right.most.bit_length())
        return codes[name], 0, min(left.most, right.most) if name == "&" else (1 << bits) - 1
    if max(left.most, right.most) >= _MOST:
        raise _Beyond
    return codes[name], _LEAST, _MOST - 1
