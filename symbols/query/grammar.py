"""Reads a query. Nothing is refused: what cannot be understood becomes a ``Problem``, the rest stands.

So a query can be read at every key while somebody types it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from symbols.query.terms import (
    Arguments,
    Condition,
    InModule,
    Is,
    Named,
    Problem,
    Property,
    Query,
    Returns,
    Takes,
    Term,
)
from symbols.query.type_names import TypeNameError, TypePattern, read_pattern

_TERM = re.compile(r"([-!]?)([A-Za-z_]\w*):")
_WORD = re.compile(r"\S+")
_PATTERN = re.compile(r"([-!]?)([\w.]*[*?][\w.*?]*)")
_OWN = r"(?:unsigned|signed|long|short|int|char|__int128)\b"
_TYPE = re.compile(
    rf"(?:(?:const|volatile|struct|union|enum)\s+)*(?:{_OWN}(?:\s+(?:{_OWN}|const\b))*|\w*)(?:\s*\*|\s+const\b)*\S*"
)
"""How far a type goes that stands without quotes."""
_COMPARISON = re.compile(r"(<=|>=|==|=|<|>|)(\d+)")
_MODULE = re.compile(r"[\w*-]+")
_MOST_ARGUMENTS = 255
_POINTERS = "errptr"

_ELSEWHERE = "t:"
"""A query that begins so asks for types, not for functions."""


def parse(text: str) -> Query:
    """Take a query apart; see the package for what it may say."""
    if text.lstrip().startswith(_ELSEWHERE):
        return Query("")
    words: list[str] = []
    terms: list[Term] = []
    problems: list[Problem] = []
    position = 0
    while match := _WORD.search(text, position):
        start = match.start()
        opening = _TERM.match(text, start)
        if opening is None:
            position = match.end()
            if pattern := _PATTERN.fullmatch(match[0]):
                terms.append(Term(Named(pattern[2]), match[0], bool(pattern[1])))
            else:
                words.append(match[0])
            continue
        negation, name = opening.groups()
        value, begin, position, open_quote = _value(text, opening.end(), _EXTENTS.get(name.lower(), _WORD))
        try:
            condition = _condition(name, value)
        except _Misread as misread:
            at = start + len(negation) if misread.about_name else begin + misread.at
            unfinished = misread.unfinished and position == len(text)
            problems.append(Problem(at, misread.message, misread.hint, unfinished))
            continue
        if open_quote is not None:
            problems.append(Problem(open_quote, "the quote is not closed", f"{value}{text[open_quote]}", True))
        terms.append(Term(condition, text[start:position], bool(negation)))
    return Query(" ".join(words), tuple(terms), tuple(problems))


class _Misread(Exception):
    """A term that cannot be understood, ``at`` so many letters into its value."""

    def __init__(
        self, message: str, hint: str, at: int = 0, *, unfinished: bool = False, about_name: bool = False
    ) -> None:
        super().__init__(message)
        self.message, self.hint, self.at = message, hint, at
        self.unfinished, self.about_name = unfinished, about_name


def _value(text: str, start: int, extent: re.Pattern[str]) -> tuple[str, int, int, int | None]:
    """The value at a position, where it begins, where what follows begins, and the place of a quote left open."""
    quote = text[start : start + 1]
    if quote and quote in "\"'":
        end = text.find(quote, start + 1)
        if end < 0:
            return text[start + 1 :], start + 1, len(text), start
        return text[start + 1 : end], start + 1, end + 1, None
    match = extent.match(text, start)
    value = match[0] if match else ""
    return value, start, start + len(value), None


def _condition(name: str, value: str) -> Condition:
    reader = _READERS.get(name.lower())
    if reader is None:
        names = " ".join(f"{known}:" for known in _READERS)
        inside = f"; in a module: mod:{name} {value}" if value else ""
        raise _Misread(f"there is no {name}:", f"{names}{inside}", about_name=True)
    return reader(value)


def _is(value: str) -> Condition:
    for known in Property:
        if known.word == value.lower():
            return Is(known)
    if value.lower() in ("inlined", "cold", "padding"):
        raise _Misread(f"no {value} functions are listed", f"kexplore show NAME tells of one whether it is {value}")
    beginning = [known.word for known in Property if known.word.startswith(value.lower())]
    words = ", ".join(beginning or [known.word for known in Property])
    message = f"is: has no {value!r}" if not beginning else "is: what?" if not value else f"is:{value}…"
    raise _Misread(message, words, unfinished=bool(beginning))


def _in_module(value: str) -> Condition:
    if not value:
        raise _Misread("mod: which module?", "mod:ext4, mod:nf_*, -mod:* for the kernel itself", unfinished=True)
    if match := _MODULE.match(value):
        if match.end() == len(value):
            return InModule(value.lower().replace("-", "_"))
        raise _Misread(f"{value[match.end()]!r} is in no module's name", "mod:ext4, mod:nf_*", match.end())
    raise _Misread(f"{value[0]!r} is in no module's name", "mod:ext4, mod:nf_*")


def _takes(value: str) -> Condition:
    return Takes(_pattern(value))


def _returns(value: str) -> Condition:
    return Returns(None if value.lower() == _POINTERS else _pattern(value))


def _pattern(value: str) -> TypePattern:
    try:
        return read_pattern(value)
    except TypeNameError as error:
        raise _Misread(error.message, error.hint, error.at, unfinished=error.at >= len(value.rstrip())) from None


def _arguments(value: str) -> Condition:
    match = _COMPARISON.fullmatch(value)
    if match is None:
        unfinished = value in ("", "<", ">", "=", "<=", ">=", "==")
        raise _Misread(f"args: how many? {value!r}" if value else "args: how many?", "args:3, args:>6, args:<=2",
                       unfinished=unfinished)  # fmt: skip
    number = min(int(match[2][:6]), _MOST_ARGUMENTS)
    match match[1]:
        case "<":
            return Arguments(0, number - 1)
        case "<=":
            return Arguments(0, number)
        case ">":
            return Arguments(number + 1, _MOST_ARGUMENTS)
        case ">=":
            return Arguments(number, _MOST_ARGUMENTS)
        case _:
            return Arguments(number, number)


_READERS: dict[str, Callable[[str], Condition]] = {
    "is": _is,
    "mod": _in_module,
    "takes": _takes,
    "returns": _returns,
    "args": _arguments,
}
_EXTENTS = {"takes": _TYPE, "returns": _TYPE}
TERM_NAMES = tuple(_READERS)
"""What may stand before the colon."""
