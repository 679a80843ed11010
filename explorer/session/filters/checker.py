"""From a filter's tree to the protocol's conditions, each part checked against the types of the probe's values."""

from __future__ import annotations

import dataclasses

from explorer.session.filters import parser
from explorer.session.filters.errors import FilterError
from explorer.session.filters.parser import COMPARISONS, Binary, Name, Node, Unary
from explorer.session.filters.scope import LONGEST_COMM, Meaning, Scope, Tree
from symbols.c_types import CType, TypeKind

_SWAPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ARITHMETIC = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "&": lambda a, b: a & b,
    "|": lambda a, b: a | b, "^": lambda a, b: a ^ b, "<<": lambda a, b: a << b, ">>": lambda a, b: a >> b,
    "/": lambda a, b: (abs(a) // abs(b)) * (1 if (a < 0) is (b < 0) else -1),
    "%": lambda a, b: a - b * ((abs(a) // abs(b)) * (1 if (a < 0) is (b < 0) else -1)),
}  # fmt: skip
"""Of two constants; as the agent calculates, C's division rounds towards zero."""
_STRING_HINT = 'compare with == or ~, for instance {name} ~ "/etc/*"'


@dataclasses.dataclass(frozen=True, slots=True)
class _Operand:
    """A checked operand of a comparison.

    Attributes:
        number: Its number in the protocol; None for a text alone.
        text: Its text in the protocol; None for a number alone.
        type: Of a value of the probe as it is; None for what was calculated.
        constant: The number, where it is known.
        masked: The type of the value whose bits these are, for ``flags & MASK``.
        meaning: What it was called, for messages.
    """

    node: Node
    number: Tree = None
    text: Tree = None
    type: CType | None = None
    constant: int | None = None
    masked: CType | None = None
    meaning: Meaning | None = None


class Checker:
    """Checks the parts of one filter.

    Args:
        text: The filter, for messages.
        scope: The names of its probe.
    """

    def __init__(self, text: str, scope: Scope) -> None:
        self._text = text
        self._scope = scope

    def condition(self, node: Node) -> Tree:
        """A part as a condition of the protocol.

        Raises:
            FilterError: It makes no sense.
        """
        match node:
            case Unary(operator="!", operand=operand):
                return ["not", self.condition(operand)]
            case Binary(operator="&&" | "||" as joint, left=left, right=right):
                return [{"&&": "and", "||": "or"}[joint], self.condition(left), self.condition(right)]
            case Binary(operator=operator) if operator in COMPARISONS:
                return self._comparison(node)
        alone = self._operand(node)
        if alone.number is None:
            raise self._error("a text alone is no condition", node, "compare it with == or ~")
        if alone.constant is not None:
            raise self._settled(node)
        return ["!=", alone.number, 0]

    def _comparison(self, node: Binary) -> Tree:
        operator = node.operator
        left, right = self._operand(node.left), self._operand(node.right)
        if operator in ("~", "!~"):
            return self._match(operator, left, right)
        if left.constant is not None or (left.meaning is None and left.text is not None):
            left, right, operator = right, left, _SWAPPED[operator]
        if left.text is not None:
            return self._string_comparison(operator, left, right)
        if right.text is not None and right.meaning is None:
            name = left.meaning.name if left.meaning else "this"
            kind = f"{name} is a number ({left.type.text})" if left.type else f"{name} is a number"
            raise self._error(f"{kind}, not a text", right.node, "compare it with a number")
        if right.text is not None:
            return self._string_comparison(operator, right, left)
        if right.constant is None:
            return [operator, left.number, right.number]
        if left.constant is not None:
            raise self._settled(node)
        return [operator, left.number, self._fitted(operator, left, right.constant, right.node)]

    def _match(self, operator: str, left: _Operand, right: _Operand) -> Tree:
        if left.text is None:
            raise self._error("~ matches texts, and this is a number", left.node, "compare it with ==, < or >")
        if not isinstance(right.text, str):
            raise self._error("a pattern is a text in quotes", right.node, 'for instance "/etc/*"')
        if left.text == ["comm"]:
            self._check_comm(_least_length(right.text), right.node, pattern=True)
        condition = ["~", left.text, right.text]
        return condition if operator == "~" else ["not", condition]

    def _string_comparison(self, operator: str, left: _Operand, right: _Operand) -> Tree:
        """``left`` has a text; it may be a ``char *``, which has a number as well."""
        name = left.meaning.name if left.meaning else "this"
        if right.constant == 0 and left.number is not None and operator in ("==", "!="):
            return [operator, left.number, 0]  # NULL
        if isinstance(left.text, str):
            raise self._settled(left.node)
        if right.text is None:
            raise self._error(f"{name} is a string, not a number", right.node, _STRING_HINT.format(name=name))
        if operator not in ("==", "!="):
            raise self._error(f"{name} is a string: {operator} does not compare strings", left.node,
                              _STRING_HINT.format(name=name))  # fmt: skip
        if left.text == ["comm"] and isinstance(right.text, str):
            self._check_comm(len(right.text.encode("utf-8", "surrogateescape")), right.node)
        return [operator, left.text, right.text]

    def _check_comm(self, length: int, node: Node, *, pattern: bool = False) -> None:
        if length > LONGEST_COMM:
            what = "this pattern asks for" if pattern else "this name has"
            raise self._error(
                f"a thread's name holds {LONGEST_COMM} bytes, {what} {length}: it would never match",
                node,
                'give its beginning: comm ~ "begins-with*"'
                if pattern
                else f"the kernel keeps the first {LONGEST_COMM}",
            )

    def _operand(self, node: Node) -> _Operand:
        match node:
            case parser.Number(value=value):
                return _Operand(node, number=value, constant=value)
            case parser.Text(content=content):
                return _Operand(node, text=content)
            case Name(name=name):
                return self._named(node, name)
            case Unary(operator="!"):
                raise self._error("! makes a condition of it, which is no number", node, "put what is meant in ( )")
            case Unary(operator=operator, operand=inner):
                return self._sign(node, operator, self._operand(inner))
            case Binary(operator=operator) if operator in _ARITHMETIC:
                return self._calculated(node)
        raise self._error("a condition is no number", node, "put what is meant in ( )")

    def _named(self, node: Node, name: str) -> _Operand:
        found = self._scope.find(name)
        if found is None:
            raise self._error(*self._why_not(name, node))
        if found.cause:
            raise self._error(found.cause, node)
        if found.constant is not None:
            return _Operand(node, number=found.constant, constant=found.constant)
        return _Operand(node, number=found.number, text=found.text, type=found.type, meaning=found)

    def _why_not(self, name: str, node: Node) -> tuple[str, Node, str]:
        what, hint = self._scope.why_not(name)
        return what, node, hint

    def _sign(self, node: Node, operator: str, operand: _Operand) -> _Operand:
        number = self._number_of(operand)
        if operand.constant is not None:
            value = {"-": -operand.constant, "+": operand.constant, "~": ~operand.constant}[operator]
            return self._constant(node, value)
        match operator:
            case "-":
                return _Operand(node, number=["-", 0, number])
            case "~":
                return _Operand(node, number=["-", ["-", 0, number], 1])
        return operand

    def _calculated(self, node: Binary) -> _Operand:
        left, right = self._operand(node.left), self._operand(node.right)
        numbers = self._number_of(left), self._number_of(right)
        shifts = node.operator in ("<<", ">>")
        if right.constant is not None and shifts and not 0 <= right.constant < 64:
            raise self._error("a number is shifted by 0 to 63 bits", node.right)
        if right.constant == 0 and node.operator in ("/", "%"):
            raise self._error("nothing can be divided by 0", node.right)
        if left.constant is not None and right.constant is not None:
            return self._constant(node, _ARITHMETIC[node.operator](left.constant, right.constant))
        if node.operator != "&" or (left.constant is None and right.constant is None):
            return _Operand(node, number=[node.operator, *numbers])
        value, mask = (right, left) if left.constant is not None else (left, right)
        assert mask.constant is not None
        return self._masked(node, value, mask.constant, mask.node)

    def _masked(self, node: Node, value: _Operand, mask: int, place: Node) -> _Operand:
        if value.type is None:
            return _Operand(node, number=["&", value.number, mask])
        bits = _bits(value.type)
        if mask >= 1 << bits or mask < -(1 << (bits - 1)):
            raise self._error(f"{value.type.text} has {bits} bits", place, "these bits are never set")
        return _Operand(node, number=["&", value.number, mask & ((1 << bits) - 1)], masked=value.type)

    def _number_of(self, operand: _Operand) -> Tree:
        if operand.number is None or (operand.text is not None and operand.number is not None):
            name = operand.meaning.name if operand.meaning else "this"
            raise self._error(f"{name} is a string: it cannot be calculated with", operand.node,
                              _STRING_HINT.format(name=name if operand.meaning else "filename"))  # fmt: skip
        return operand.number

    def _constant(self, node: Node, value: int) -> _Operand:
        if not -(1 << 63) <= value < 1 << 64:
            raise self._error(f"{value:#x} has more than 64 bits", node)
        return _Operand(node, number=value, constant=value)

    def _fitted(self, operator: str, left: _Operand, constant: int, node: Node) -> int:
        """The constant that a value is compared with, as its type has it."""
        if left.masked is not None:
            assert isinstance(left.number, list)
            mask: int = left.number[2]
            bits = constant & ((1 << _bits(left.masked)) - 1)
            if operator in ("==", "!=") and bits & ~mask:
                raise self._error("this has bits that the mask has not: the two are never equal", node)
            return bits
        if left.type is None or left.meaning is None:
            return constant
        return self._in_range(operator, left.meaning.name, left.type, constant, node)

    def _in_range(self, operator: str, name: str, c_type: CType, constant: int, node: Node) -> int:
        bits, ordered = _bits(c_type), operator not in ("==", "!=")
        signed = c_type.kind in (TypeKind.SIGNED, TypeKind.ENUM)
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
        if not signed and operator in ("<", ">=") and constant == 0:
            raise self._error(f"{name} is unsigned ({c_type.text}): it is never below 0", node, _errors_hint(c_type))
        if low <= constant <= high:
            return constant
        same_bits = (constant if constant >= 0 else constant + (1 << 64)) & ((1 << bits) - 1)
        if not ordered and signed and high < constant < 1 << bits:
            return constant - (1 << bits)  # 0xffffff9c for an int
        if not signed and -(1 << (bits - 1)) <= constant < 0:
            if not ordered or c_type.kind is TypeKind.POINTER:
                return same_bits  # an error in a pointer or an unsigned long
            raise self._error(f"{name} is unsigned ({c_type.text}): it is never below 0", node, _errors_hint(c_type))
        raise self._error(f"{name} ({c_type.text}) has {bits} bits: from {low} to {high}", node)

    def _settled(self, node: Node) -> FilterError:
        return self._error("this is always so, or never", node, "compare it with a value of the probe")

    def _error(self, what: str, node: Node, hint: str = "") -> FilterError:
        return FilterError(what, self._text, node.start, node.end, hint)


def _bits(c_type: CType) -> int:
    return c_type.bits or (c_type.size if c_type.size in (1, 2, 4, 8) else 8) * 8


def _errors_hint(c_type: CType) -> str:
    return "for errors: >= -MAX_ERRNO" if c_type.kind is TypeKind.POINTER else ""


def _least_length(pattern: str) -> int:
    """Bytes of the shortest text that a pattern matches, at least."""
    length = place = 0
    while place < len(pattern):
        character = pattern[place]
        if character == "\\" and place + 1 < len(pattern):
            place += 1
        elif character == "[" and (close := pattern.find("]", place + 2)) >= 0:
            place = close
        length += character != "*"
        place += 1
    return length
