"""What armed probes have become, and why: engine, mechanism, stacks; as short as a row, as whole as a card needs it."""

from __future__ import annotations

import textwrap

from rich.cells import cell_len
from rich.segment import Segment

from explorer.session.probe import Probe, ProbeState
from explorer.widgets.palette import MUTED


def short(probe: Probe, width: int) -> str:
    """``bpf kprobe +stack``, as much of it as fits, whole words only; "" before it is known."""
    engine = "/".join(dict.fromkeys(part.engine for part in probe.parts))
    whole = probe.part_of or probe
    asked = whole.options.stacks
    more = f" +stack{'s' if len(asked) > 1 else ''}" if asked else " counting" if whole.aggregate else ""
    forms = (name(probe) + more, engine + more, engine)
    return next((words for words in forms if cell_len(words) <= width), "")


def name(probe: Probe) -> str:
    """``bpf kprobe``; of a call what both ends are; a recording of before may tell the engine only."""
    return "/".join(dict.fromkeys(f"{part.engine} {part.mechanism}".strip() for part in probe.parts))


def sentence(probe: Probe | None) -> str:
    """What a probe has become, what it records besides, why, and whether its missed hits are known."""
    if probe is None or probe.state is not ProbeState.ARMED or not name(probe):
        return ""
    parts = (part for part in probe.parts if part.mechanism_cause)
    causes = "; ".join(dict.fromkeys(part.mechanism_cause for part in parts))
    stacks = " and ".join({"kernel": "kernel's", "user": "process's"}[each] for each in probe.options.stacks)
    recorded = f" with the {stacks} stack" if stacks else " that counts in the kernel" if probe.aggregate else ""
    unknown = "" if probe.all_missed_is_known else "; what it missed is not known"
    return f"{name(probe)}{recorded}{f': {causes}' if causes else ''}{unknown}"


def lines(probe: Probe, width: int) -> list[list[Segment]]:
    """The same for a card."""
    words = sentence(probe)
    if not words:
        return []
    broken = textwrap.wrap(f"{probe.spec.kind.value} probe: {words}", max(width, 10), subsequent_indent="  ")
    return [[Segment(line, MUTED)] for line in broken]
