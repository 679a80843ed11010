"""Conditions over one hit, as requests describe them: checked node by node, then made callable.

A condition is data: a JSON list that begins with an operator (``explorer.agent.protocol`` has the grammar). Nothing of
it is ever run as code, and its size bounds its work.

A value that could not be read makes what depends on it *unknown*, and an unknown condition does not hold. ``and`` and
``or`` are decided without it where the other side decides.
"""

from __future__ import annotations

import operator
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

from explorer.agent.failure import RequestError
from explorer.agent.glob import glob_match
from explorer.agent.protocol import Code

_DEEPEST = 64
_MOST_NODES = 2048
_LONGEST_TEXT = 4096


class Sighted:
    """What a condition may ask of a hit; each thing is decoded when it is asked for."""

    def value(self, index: int) -> Any:
        """A value of the probe, by its place in the definition; None is a read that faulted."""
        raise NotImplementedError

    def comm(self) -> str:
        """The name of the thread."""
        raise NotImplementedError

    def tid(self) -> int:
        """The thread."""
        raise NotImplementedError

    def pid(self) -> Optional[int]:
        """Its process; None when it was gone before it could be asked."""
        raise NotImplementedError

    def cpu(self) -> int:
        """The processor."""
        raise NotImplementedError


Condition = Callable[[Sighted], Optional[bool]]
Number = Callable[[Sighted], Optional[int]]
Text = Callable[[Sighted], Optional[str]]
Node = List[Any]


def _divide(left: int, right: int) -> Optional[int]:
    if right == 0:
        return None
    quotient = abs(left) // abs(right)  # C rounds towards zero
    return quotient if (left < 0) is (right < 0) else -quotient


def _remainder(left: int, right: int) -> Optional[int]:
    quotient = _divide(left, right)
    return None if quotient is None else left - quotient * right


def _shift_left(left: int, right: int) -> Optional[int]:
    return left << right if 0 <= right < 64 else None


def _shift_right(left: int, right: int) -> Optional[int]:
    return left >> right if 0 <= right < 64 else None


_COMPARISONS: Dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ARITHMETIC: Dict[str, Callable[[int, int], Optional[int]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": _divide, "%": _remainder,
    "&": operator.and_, "|": operator.or_, "^": operator.xor, "<<": _shift_left, ">>": _shift_right,
}  # fmt: skip
_SIGHTS: Dict[str, Number] = {
    "tid": lambda sighted: sighted.tid(), "pid": lambda sighted: sighted.pid(), "cpu": lambda sighted: sighted.cpu(),
}  # fmt: skip


class Checker:
    """Checks and compiles the conditions of one filter.

    Args:
        texts: For each value of the probe, whether it is a text.
    """

    def __init__(self, texts: Sequence[bool]) -> None:
        self._texts = texts
        self._nodes = 0

    def condition(self, tree: object, depth: int = 0) -> Condition:
        """Compile a condition.

        Raises:
            RequestError: It is not one, or is too large.
        """
        name, operands = self._open(tree, depth)
        if name in ("and", "or") and operands:
            parts = [self.condition(part, depth + 1) for part in operands]
            return _junction(parts, name == "or")
        if name == "not" and len(operands) == 1:
            return _inverse(self.condition(operands[0], depth + 1))
        if name == "~" and len(operands) == 2 and isinstance(operands[1], str):
            return _glob(self._text(operands[0], depth + 1), self._constant(operands[1]))
        if name in _COMPARISONS and len(operands) == 2:
            compare = _COMPARISONS[name]
            if name in ("==", "!=") and _is_text(operands[0]):
                return _comparison(compare, self._text(operands[0], depth + 1), self._text(operands[1], depth + 1))
            left, right = (self._number(operand, depth + 1) for operand in operands)
            return _comparison(compare, left, right)
        raise _bad(f"a filter has no condition {name!r} of {len(operands)} operands")

    def _number(self, tree: object, depth: int) -> Number:
        if isinstance(tree, int) and not isinstance(tree, bool):
            constant = self._bounded(tree)
            return lambda sighted: constant
        name, operands = self._open(tree, depth)
        if name == "value":
            index = self._index(operands, False)
            return lambda sighted: sighted.value(index)
        if name in _SIGHTS and not operands:
            return _SIGHTS[name]
        if name in _ARITHMETIC and len(operands) == 2:
            left, right = (self._number(operand, depth + 1) for operand in operands)
            return _arithmetic(_ARITHMETIC[name], left, right)
        raise _bad(f"a filter has no number {name!r} of {len(operands)} operands")

    def _text(self, tree: object, depth: int) -> Text:
        if isinstance(tree, str):
            constant = self._constant(tree)
            return lambda sighted: constant
        name, operands = self._open(tree, depth)
        if name == "comm" and not operands:
            return lambda sighted: sighted.comm()
        if name == "text":
            index = self._index(operands, True)
            return lambda sighted: sighted.value(index)
        raise _bad(f"a filter has no text {name!r}")

    def _index(self, operands: Node, text: bool) -> int:
        index = operands[0] if len(operands) == 1 else None
        if type(index) is int and 0 <= index < len(self._texts) and self._texts[index] is text:
            return index
        raise _bad(f"the probe has no {'text' if text else 'number'} {operands!r}")

    def _open(self, tree: object, depth: int) -> Tuple[str, Node]:
        self._nodes += 1
        if depth > _DEEPEST or self._nodes > _MOST_NODES:
            raise _bad("a filter of this size is not needed by anybody")
        if not isinstance(tree, list) or not tree or not isinstance(tree[0], str):
            raise _bad("a filter is made of lists that begin with an operator")
        return tree[0], tree[1:]

    def _bounded(self, number: int) -> int:
        self._nodes += 1
        if not -(1 << 63) <= number < 1 << 64:
            raise _bad(f"{number} has more than 64 bits")
        return number

    def _constant(self, text: str) -> str:
        self._nodes += 1
        try:
            length = len(text.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError:
            raise _bad("a filter's text holds what no text of the kernel can") from None
        if length > _LONGEST_TEXT or "\0" in text:
            raise _bad("a filter's text holds more than a text of the kernel can")
        return text


def everything(conditions: Sequence[Condition]) -> Optional[Condition]:
    """A condition that holds where all of these do; None where there are none."""
    return _junction(conditions, False) if conditions else None


def _is_text(tree: object) -> bool:
    return isinstance(tree, str) or (isinstance(tree, list) and tree[:1] in (["text"], ["comm"]))


def _junction(parts: Sequence[Condition], decisive: bool) -> Condition:
    """``or`` where True is decisive, ``and`` where False is."""

    def decided(sighted: Sighted) -> Optional[bool]:
        outcome: Optional[bool] = not decisive
        for part in parts:
            held = part(sighted)
            if held is decisive:
                return decisive
            if held is None:
                outcome = None
        return outcome

    return decided


def _inverse(part: Condition) -> Condition:
    def inverted(sighted: Sighted) -> Optional[bool]:
        held = part(sighted)
        return None if held is None else not held

    return inverted


def _comparison(
    compare: Callable[[Any, Any], bool], left: Union[Number, Text], right: Union[Number, Text]
) -> Condition:
    def compared(sighted: Sighted) -> Optional[bool]:
        first, second = left(sighted), right(sighted)
        return None if first is None or second is None else compare(first, second)

    return compared


def _arithmetic(combine: Callable[[int, int], Optional[int]], left: Number, right: Number) -> Number:
    def combined(sighted: Sighted) -> Optional[int]:
        first, second = left(sighted), right(sighted)
        return None if first is None or second is None else combine(first, second)

    return combined


def _glob(text: Text, pattern: str) -> Condition:
    wanted = pattern.encode("utf-8", "surrogateescape")

    def matched(sighted: Sighted) -> Optional[bool]:
        found = text(sighted)
        return None if found is None else glob_match(wanted, found.encode("utf-8", "surrogateescape"))

    return matched


def _bad(message: str) -> RequestError:
    return RequestError(Code.BAD_REQUEST, message)
