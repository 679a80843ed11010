"""From tokens to a tree: C's expressions, with one difference.

``& ^ |`` bind tighter than comparisons, as in Go and Rust: in C ``flags & O_CREAT == 0`` means ``flags & (O_CREAT ==
0)``, which nobody who writes a filter wants.
"""

from __future__ import annotations

import dataclasses

from explorer.session.filters.errors import FilterError
from explorer.session.filters.lexer import Token, TokenKind, tokens

_DEEPEST = 40

_LEVELS = {
    "||": 1, "&&": 2, "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "~": 3, "!~": 3, "|": 4, "^": 5, "&": 6,
    "<<": 7, ">>": 7, "+": 8, "-": 8, "*": 9, "/": 9, "%": 9,
}  # fmt: skip
COMPARISONS = frozenset(operator for operator, level in _LEVELS.items() if level == 3)
_COMPARING = 3
_WORDS = {"and": "&&", "or": "||", "not": "!"}


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A part of a filter: which characters of it."""

    start: int
    end: int


@dataclasses.dataclass(frozen=True, slots=True)
class Name(Node):
    """A value of the probe, something about the thread, or a constant."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Number(Node):
    """A number or a character as written."""

    value: int


@dataclasses.dataclass(frozen=True, slots=True)
class Text(Node):
    """A text in quotes."""

    content: str


@dataclasses.dataclass(frozen=True, slots=True)
class Unary(Node):
    """``! - ~ +`` and what it is applied to."""

    operator: str
    operand: Node


@dataclasses.dataclass(frozen=True, slots=True)
class Binary(Node):
    """Two parts and what joins them."""

    operator: str
    left: Node
    right: Node


def parse(text: str) -> Node:
    """Read a filter.

    Raises:
        FilterError: It is not one.
    """
    return _Parser(text).whole()


def conjuncts(node: Node) -> list[Node]:
    """The parts of a filter that must all hold, in order."""
    if isinstance(node, Binary) and node.operator == "&&":
        return [*conjuncts(node.left), *conjuncts(node.right)]
    return [node]


def names(node: Node) -> set[str]:
    """All names that occur in a part."""
    match node:
        case Name(name=name):
            return {name}
        case Unary(operand=operand):
            return names(operand)
        case Binary(left=left, right=right):
            return names(left) | names(right)
    return set()


class _Parser:
    """One reading of one filter."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._place = 0

    def whole(self) -> Node:
        node = self._joined(0, 0)
        token = self._next
        if token.kind is not TokenKind.END:
            raise self._unexpected(token)
        return node

    @property
    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._next
        self._place += 1
        return token

    def _joined(self, level: int, depth: int) -> Node:
        """An operand and every operator behind it that binds tighter than ``level``."""
        left = self._operand(depth)
        while (token := self._next).kind is TokenKind.OPERATOR:
            if token.text == "=":
                raise self._error("= assigns, which a filter does not", token, "compare with ==")
            own = _LEVELS.get(token.text)
            if own is None or own <= level:
                if own == _COMPARING == level:
                    raise self._error("comparisons cannot be chained", token, "write both: 1 < count && count < 9")
                return left
            self._take()
            right = self._joined(own, depth + 1)
            left = Binary(left.start, right.end, token.text, left, right)
        return left

    def _operand(self, depth: int) -> Node:
        token = self._take()
        if depth > _DEEPEST:
            raise self._error("this is nested too deeply", token)
        match token.kind:
            case TokenKind.NAME if token.text in _WORDS:
                raise self._error(f"{token.text!r} is no operator here", token, f"write {_WORDS[token.text]}")
            case TokenKind.NAME:
                return Name(token.start, token.end, token.text)
            case TokenKind.NUMBER:
                return Number(token.start, token.end, token.value)
            case TokenKind.TEXT:
                return Text(token.start, token.end, token.content)
        if token.text in ("!", "-", "~", "+"):
            operand = self._operand(depth + 1)
            return Unary(token.start, operand.end, token.text, operand)
        if token.text == "(":
            inner = self._joined(0, depth + 1)
            closing = self._take()
            if closing.text != ")" or closing.kind is not TokenKind.OPERATOR:
                raise FilterError("a ) is missing", self._text, token.start, closing.start)
            return dataclasses.replace(inner, start=token.start, end=closing.end)
        if token.kind is TokenKind.END:
            what = "something is missing at the end" if len(self._tokens) > 1 else "the filter is empty"
            raise self._error(what, token, 'for instance: count > 4096 && comm == "cat"')
        raise self._error(f"something is missing before {token.text!r}", token)

    def _unexpected(self, token: Token) -> FilterError:
        if token.text == ")":
            return self._error("no ( belongs to this )", token)
        return self._error(
            f"{token.text!r} was not expected here",
            token,
            f"write {_WORDS[token.text]}" if token.text in _WORDS else "join conditions by && or ||",
        )

    def _error(self, what: str, token: Token, hint: str = "") -> FilterError:
        return FilterError(what, self._text, token.start, token.end, hint)
