"""A filter's text as tokens: names, numbers, texts in quotes, operators."""

from __future__ import annotations

import dataclasses
import enum
import re

from explorer.session.filters.errors import FilterError

LONGEST = 2000
"""Characters of a filter."""


class TokenKind(enum.Enum):
    """What sort of token it is."""

    NAME = "name"
    NUMBER = "number"
    TEXT = "text"
    OPERATOR = "operator"
    END = "end"


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """A token and where it stands.

    Attributes:
        text: As written; a member read (``file->f_inode``) is one name, without spaces.
        value: Of a number or a character constant; else 0.
        content: Of a text: what it stands for, bytes that are no UTF-8 as lone surrogates; else "".
    """

    kind: TokenKind
    text: str
    start: int
    end: int
    value: int = 0
    content: str = ""


_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[$]?[A-Za-z_]\w*(?:\s*(?:->|\.)\s*[A-Za-z_]\w*|\[\d+\])*", re.ASCII)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|0[bB][01]+|\d+", re.ASCII)
_SUFFIX = re.compile(r"[uUlL]{0,3}(?![\w.])", re.ASCII)
_OPERATOR = re.compile(r"&&|\|\||==|!=|<=|>=|<<|>>|!~|[<>!~&|^+\-*/%()=]")
_ESCAPES = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11, "e": 27, "\\": 92, '"': 34, "'": 39}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|(.))", re.DOTALL)


def tokens(text: str) -> list[Token]:
    """The tokens of a filter, an END token last.

    Raises:
        FilterError: Something in it is no token.
    """
    if len(text) > LONGEST:
        raise FilterError(f"a filter has up to {LONGEST} characters, this one {len(text)}", text[:60], 0, 60)
    found: list[Token] = []
    place = 0
    while True:
        place = _end(_SPACE, text, place)
        if place == len(text):
            found.append(Token(TokenKind.END, "", place, place))
            return found
        token = _token(text, place)
        found.append(token)
        place = token.end


def _token(text: str, start: int) -> Token:
    if match := _NAME.match(text, start):
        return Token(TokenKind.NAME, re.sub(r"\s", "", match[0]), start, match.end())
    if text[start].isdecimal():
        return _number(text, start)
    if text[start] in "\"'":
        return _quoted(text, start)
    if match := _OPERATOR.match(text, start):
        return Token(TokenKind.OPERATOR, match[0], start, match.end())
    raise FilterError(f"{text[start]!r} has no meaning in a filter", text, start, start + 1)


def _number(text: str, start: int) -> Token:
    match = _NUMBER.match(text, start)
    suffix = _SUFFIX.match(text, match.end()) if match else None
    if match is None or suffix is None:
        end = _end(re.compile(r"[\w.]+"), text, start)
        raise FilterError(f"{text[start:end]!r} is no number", text, start, end, "forms: 42, 0x2a, 0b101010, 052, 'c'")
    digits = match[0]
    octal = len(digits) > 1 and digits.isdecimal() and digits[0] == "0"
    try:
        value = int(digits, 8 if octal else 0)
    except ValueError:
        raise FilterError(f"{digits} is no octal number", text, start, match.end(), "without the 0: decimal") from None
    if value >= 1 << 64:
        raise FilterError(f"{digits} has more than 64 bits", text, start, match.end())
    return Token(TokenKind.NUMBER, text[start : suffix.end()], start, suffix.end(), value)


def _quoted(text: str, start: int) -> Token:
    quote = text[start]
    content = bytearray()
    place = start + 1
    while place < len(text) and text[place] != quote:
        if text[place] == "\\" and (escape := _ESCAPE.match(text, place)):
            content += _unescaped(escape)
            place = escape.end()
        else:
            content += text[place].encode("utf-8", "surrogateescape")
            place += 1
    if place >= len(text):
        raise FilterError(f"a {quote} is missing at the end", text, start, len(text))
    end = place + 1
    if quote == '"':
        if 0 in content:
            raise FilterError("a text cannot hold a zero byte: it ends there", text, start, end)
        return Token(TokenKind.TEXT, text[start:end], start, end, content=content.decode("utf-8", "surrogateescape"))
    if len(content) != 1:
        raise FilterError("single quotes hold one character", text, start, end, 'a text stands in double quotes: "cat"')
    return Token(TokenKind.NUMBER, text[start:end], start, end, content[0])


def _unescaped(escape: re.Match[str]) -> bytes:
    hexadecimal, octal, character = escape.groups()
    if hexadecimal or octal:
        return bytes([int(hexadecimal, 16) if hexadecimal else int(octal, 8) & 0xFF])
    if character in _ESCAPES:
        return bytes([_ESCAPES[character]])
    return escape[0].encode("utf-8", "surrogateescape")  # \* and its like belong to a pattern


def _end(expression: re.Pattern[str], text: str, start: int) -> int:
    match = expression.match(text, start)
    return match.end() if match else start + 1
