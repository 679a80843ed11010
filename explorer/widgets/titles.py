"""The titles of the panes: their numbers, and the totals that have to be seen at all times."""

from __future__ import annotations

from rich.cells import cell_len

from explorer.session.finding import Found
from explorer.session.probe import Probe
from explorer.session.session import Session
from explorer.session.values import printable
from explorer.widgets import call_lines, guard_words, mechanism_words
from explorer.widgets.cells import count
from explorer.widgets.group_segments import group_remark
from explorer.widgets.probe_rows import GroupRow

_ALWAYS = ("shown", "not shown", "missed", "lost")


def functions_title(found: Found | None, marked: int) -> str:
    """How many functions are listed, of how many that match, whether typos were tolerated; how many are marked."""
    if found is None:
        return "1 search  2 functions"
    shown = f"{count(len(found.rows))} of " if len(found.rows) < found.total else ""
    number = count(found.total) + ("+" if found.at_least else "")
    marks = f" · ✓{count(marked)}" if marked else ""
    return f"1 search  2 functions{marks} · {shown}{number}{' ≈' if found.approximate else ''}"


def no_functions(found: Found) -> str:
    """Why no functions are listed; "" where some are."""
    if found.rows:
        return ""
    if not found.complete:
        return "" if found.notes else "names are loading…"
    return f"nothing like {found.words!r}" if found.query.strip() == found.words else "no function meets all of this"


def probes_title(session: Session | None, selected: Probe | None, group: GroupRow | None) -> str:
    """How many probes there are, what they cost; of the one under the cursor what stands out, its filter, its engine.

    Args:
        session: The session.
        selected: The probe under the cursor.
        group: The group under the cursor; who is hit most in it.
    """
    if session is None or not session.probes:
        return "4 probes"
    chosen = selected.filter if selected is not None else None
    condition = f"only {printable(chosen.text)}" if chosen is not None else ""
    remark = (
        guard_words.sentence(selected)
        or call_lines.sentence(selected)
        or (group_remark(group) if group is not None else "")
        or guard_words.cost(session.probes.values(), session.budget)
    )
    become = mechanism_words.sentence(selected)
    parts = [f"4 probes · {len(session.probes)}", remark, condition, printable(become)]
    return " · ".join(part for part in parts if part)


def events_title(flow: str, session: Session | None, width: int) -> str:
    """How the pane moves, and what became of all hits; of what does not fit, the zeros are left out first.

    Args:
        flow: The pane's own title.
        session: The session.
        width: Of the pane.
    """
    if session is None or not (session.probes or session.journal.last_number):
        return flow
    total = sum((probe.counters for probe in session.probes.values()), start=session.tally.retired)
    numbers = {
        "shown": session.journal.last_number,
        "not shown": total.not_shown,
        "missed": total.missed,
        "lost": total.lost,
        "filtered": total.filtered,
        "forgotten": session.journal.dropped,
    }
    title = flow
    for name, number in sorted(numbers.items(), key=lambda item: item[0] != "shown" and not item[1]):
        words = f" · {count(number)} {name}"
        if (number or name in _ALWAYS) and cell_len(title + words) < width - 4:
            title += words
    return title
