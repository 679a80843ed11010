"""Why there are no events: nothing is armed, nothing has hit yet, nothing could be shown, or nothing can be probed."""

from __future__ import annotations

from rich.segment import Segment

from explorer.session.probe import ProbeState
from explorer.session.session import Session
from explorer.session.switchboard import Attempt
from explorer.widgets.card_lines import Lines, paragraph
from explorer.widgets.cells import count
from explorer.widgets.palette import ERROR, GOOD, KEY, MUTED, TEXT, WARNING


def no_events(session: Session | None, attempt: Attempt | None, width: int) -> Lines:
    """The words for an empty event pane."""
    if session is None or session.hello is None:
        return _unreached(attempt, width)
    if session.gone:
        return [*paragraph(session.gone, ERROR, width), *_key("t", "reach it again, or choose another kernel")]
    if not session.hello.can_probe:
        return _cannot_probe(session, width)
    probes = list(session.probes.values())
    armed = [probe for probe in probes if probe.state is ProbeState.ARMED]
    if not armed:
        return [
            [Segment("Nothing is armed.", TEXT)],
            *_key("Space", "arm a probe at the function's entry: its arguments show here"),
            *_key("r", "arm one at its return: what it returned shows here"),
            *_key("b", "arm both as one: a line a call, with how long it took"),
        ]
    if all(probe.aggregate is not None for probe in armed):
        return [
            [Segment("Hits are counted in the kernel: none is shown as an event.", TEXT)],
            *_key("h", "on a probe, what they come to"),
        ]
    hits = sum(probe.counters.hits for probe in armed)
    if hits:
        unseen = sum(probe.counters.not_shown for probe in armed)
        filtered = sum(probe.counters.filtered for probe in armed)
        lost = sum(probe.counters.lost for probe in armed)
        words = f"{count(hits)} hits were counted, none is shown: {count(unseen)} not shown, "
        return paragraph(words + f"{count(filtered)} filtered, {count(lost)} lost.", WARNING, width)
    names = ", ".join(str(probe.spec) for probe in armed)
    return [
        [Segment("Armed, not hit yet. ", GOOD), Segment("Nobody has called:", TEXT)],
        *paragraph(names, MUTED, width),
    ]


def _unreached(attempt: Attempt | None, width: int) -> Lines:
    if attempt is None or attempt.running:
        lines = [[Segment(f"reaching {attempt.target.title}…" if attempt else "", MUTED)]]
        if attempt is not None:
            lines += [[Segment(line, MUTED)] for _, line in attempt.lines[-3:]]
        return lines
    error = attempt.error
    if error is None:
        return _key("t", "choose a kernel")
    return [
        *paragraph(f"{attempt.target.title} cannot be reached: {error.message}", ERROR, width),
        *paragraph(error.hint, TEXT, width),
        *_key("t", "choose another kernel"),
    ]


def _cannot_probe(session: Session, width: int) -> Lines:
    hello = session.hello
    assert hello is not None
    lines = [
        *paragraph(f"Nothing can be probed here: {hello.cause}", ERROR, width),
        *paragraph(hello.hint, TEXT, width),
        [],
    ]
    if hello.snapshot is not None:
        lines += _key("t", "look at the kernel of this machine, or at the lab's")
    elif hello.euid != 0:
        lines += _key("t", "start the agent through sudo, or use the lab, a throwaway kernel")
    else:
        lines += _key("t", "try it in the lab, a throwaway kernel in QEMU: the same keys work there")
    return [*lines, [Segment("       Searching and reading prototypes work here all the same.", MUTED)]]


def _key(key: str, words: str) -> Lines:
    return [[Segment(f"{key:>5}", KEY), Segment(f"  {words}", TEXT)]]
