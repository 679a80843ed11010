"""Text cut and counted for columns of a fixed width."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip


def fit(text: str, width: int) -> str:
    """``text`` in exactly ``width`` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…"


def fit_right(text: str, width: int) -> str:
    """Like ``fit`` with the text at the right end."""
    return fit(text, width) if cell_len(text) >= width else " " * (width - cell_len(text)) + text


def cut(segments: Iterable[Segment], width: int) -> list[Segment]:
    """Segments cut to ``width`` cells, with an ellipsis where something was lost."""
    line: list[Segment] = []
    left = width
    for segment in segments:
        length = cell_len(segment.text)
        if length > left:
            line.append(Segment(fit(segment.text, left) if left else "", segment.style))
            if not left and line:
                line = _with_ellipsis(line)
            return line
        line.append(segment)
        left -= length
    return line


def _with_ellipsis(line: list[Segment]) -> list[Segment]:
    for index in range(len(line) - 1, -1, -1):
        text, style, _ = line[index]
        if text:
            line[index] = Segment(set_cell_size(text, cell_len(text) - 1) + "…", style)
            break
    return line


def strip(segments: Iterable[Segment], width: int, beneath: Style) -> Strip:
    """Segments in exactly ``width`` cells, cut or padded, with a style beneath their own."""
    line = [Segment(text, beneath + style) for text, style, _ in cut(segments, width)]
    left = width - sum(cell_len(text) for text, _, _ in line)
    if left > 0:
        line.append(Segment(" " * left, beneath))
    return Strip(line, max(width, 0))


def count(number: int) -> str:
    """A count with its thousands apart: ``12,345``."""
    return f"{number:,}"


def short_count(number: float) -> str:
    """A count in five cells or fewer: ``999``, ``12.3k``, ``4.5M``."""
    if number < 1000:
        return f"{number:.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"
    for unit, size in (("k", 1e3), ("M", 1e6), ("G", 1e9)):
        scaled = number / size
        if scaled < 999.5:
            return f"{scaled:.1f}{unit}" if scaled < 99.95 else f"{scaled:.0f}{unit}"
    return f"{number / 1e12:.0f}T"


def words(pairs: Iterable[tuple[str, Style]], separator: tuple[str, Style]) -> list[Segment]:
    """Styled words with a separator between them; empty words are left out."""
    line: list[Segment] = []
    for text, style in pairs:
        if not text:
            continue
        if line:
            line.append(Segment(*separator))
        line.append(Segment(text, style))
    return line
