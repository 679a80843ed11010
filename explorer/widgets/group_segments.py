"""How a group of probes is drawn in one row: its size, what is being done to it or who is hit most, its sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from explorer.session.probe import Counters
from explorer.session.values import printable
from explorer.widgets import guard_words
from explorer.widgets.cells import count, fit, fit_right, short_count
from explorer.widgets.event_line import place_name
from explorer.widgets.palette import BRIGHT, ENTRY, ERROR, FAINT, MUTED, TEXT, WARNING
from explorer.widgets.probe_rows import GroupRow


def group_segments(group: GroupRow, room: int, wide: bool, columns: Sequence[int]) -> Iterable[Segment]:
    """The row.

    Args:
        group: The group.
        room: Cells before the numbers.
        wide: Whether counts are written in full.
        columns: The cells of each number: hits, rate, missed, lost, filtered, not shown.
    """
    write = count if wide else short_count
    hits, rate, *losses = columns
    yield Segment("▾ " if group.unfolded else "▸ ", ENTRY)
    if group.work is not None and group.work.progress is not None:
        yield Segment(printable(group.name), BRIGHT)
        yield Segment(" giving up…" if group.work.given_up else f" {group.work.progress.sentence}", WARNING)
        return
    name = f"{printable(group.name)} ({len(group.members):,})"
    left = room - 2 - cell_len(name)
    yield Segment(fit(name, min(room - 2, cell_len(name))), BRIGHT)
    for words, style in _remarks(group):
        if cell_len(words) > left:
            break  # the pane's title has them, too
        left -= cell_len(words)
        yield Segment(words, style)
    yield Segment(" " * max(0, left))
    counters = group.counters
    yield Segment(fit_right(write(counters.hits), hits), TEXT)
    estimated = "~" if guard_words.held_back(group.members) else ""
    yield Segment(fit_right(estimated + short_count(group.rate), rate), WARNING if estimated else TEXT)
    yield from loss_segments(counters, losses, write)


def group_remark(group: GroupRow) -> str:
    """What its row has no room for: how many were refused or are held back, and who is hit most."""
    return "".join(words for words, _ in _remarks(group)).lstrip(" ,·")


def loss_segments(counters: Counters, columns: Sequence[int], write: Callable[[int], str]) -> Iterable[Segment]:
    """The numbers of hits that were not shown: missed, lost, filtered, not shown."""
    numbers = (counters.missed, counters.lost, counters.filtered, counters.not_shown)
    styles = (WARNING, WARNING, TEXT, WARNING)  # what was filtered was meant to be
    for number, style, cells in zip(numbers, styles, columns, strict=True):
        yield Segment(fit_right(write(number), cells), style if number else FAINT)


def _remarks(group: GroupRow) -> Iterable[tuple[str, Style]]:
    if group.refused:
        yield f", {group.refused:,} refused", ERROR
    if held_back := guard_words.held_back(group.members):
        yield f" · {held_back}", WARNING
    for position, probe in enumerate(group.hottest):
        number = f"{guard_words.rate(probe)}/s" if probe.rate else short_count(probe.counters.hits)
        yield f"{' · ' if position == 0 else ', '}{place_name(probe)} {number}", MUTED
