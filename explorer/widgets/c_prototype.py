"""A prototype laid out as a C programmer would break it over lines, with its words coloured."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from rich.segment import Segment

from explorer.widgets.palette import BRIGHT, MUTED, NAME, TYPE
from symbols.prototype import Prototype

_INDENT = 4
"""Where parameters begin that do not fit beside the name."""

Line = list[Segment]


def layout(prototype: Prototype, width: int) -> list[Line]:
    """The lines of a prototype, none wider than ``width`` where its words allow that."""
    head, parameters = _split(prototype)
    if parameters is None:
        return [[Segment(line, NAME)] for line in textwrap.wrap(prototype.text, width, subsequent_indent=" " * _INDENT)]
    names = [parameter.name for parameter in prototype.parameters]
    pieces = [_piece(text, names[index] if index < len(names) else "") for index, text in enumerate(parameters)]
    opening = [*_head(head, prototype.name), Segment("(", MUTED)]
    beside = _break(opening, pieces, len(head) + 1, width)
    if len(beside) == 1:
        return beside
    below = [opening, *_break([Segment(" " * _INDENT)], pieces, _INDENT, width)]
    fits = all(sum(len(segment.text) for segment in line) <= width for line in beside)
    return beside if fits and len(beside) <= len(below) else below


def _break(first: Line, pieces: list[Line], indent: int, width: int) -> list[Line]:
    """Parameters behind ``first``, which is ``indent`` wide, as many on each line as fit."""
    lines = [list(first)]
    used, fresh = indent, True
    for index, piece in enumerate(pieces):
        end = ")" if index == len(pieces) - 1 else ","
        length = sum(len(segment.text) for segment in piece) + len(end)
        if not fresh and used + 1 + length > width:
            lines.append([Segment(" " * indent)])
            used, fresh = indent, True
        if not fresh:
            lines[-1].append(Segment(" "))
            used += 1
        lines[-1] += [*piece, Segment(end, MUTED)]
        used += length
        fresh = False
    return lines


def _split(prototype: Prototype) -> tuple[str, list[str] | None]:
    """What stands before the parameters, and the parameters; None where the text is no simple prototype."""
    start = prototype.text.find(prototype.name + "(")
    if start < 0 or not prototype.text.endswith(")"):
        return "", None
    start += len(prototype.name)
    parameters: list[str] = []
    depth, begin = 0, start + 1
    for position in range(start, len(prototype.text)):
        character = prototype.text[position]
        depth += (character in "([{") - (character in ")]}")
        if (character == "," and depth == 1) or depth == 0:
            parameters.append(prototype.text[begin:position].strip())
            begin = position + 1
        if depth == 0 and position != len(prototype.text) - 1:
            return "", None  # a function that returns a pointer to a function
    return prototype.text[:start], parameters


def _head(head: str, name: str) -> Iterator[Segment]:
    yield Segment(head[: len(head) - len(name)], TYPE)
    yield Segment(name, BRIGHT)


def _piece(text: str, name: str) -> list[Segment]:
    word = rf"\b{re.escape(name)}\b"
    # A type may hold the same word (`struct page *page`): the name is the one after `(*`, else the last.
    found = list(re.finditer(rf"(?<=\(\*){word}", text)) or list(re.finditer(word, text)) if name else []
    if not found:
        return [Segment(text, TYPE)]
    match = found[-1]
    segments = [Segment(text[: match.start()], TYPE), Segment(name, NAME), Segment(text[match.end() :], TYPE)]
    return [segment for segment in segments if segment.text]
