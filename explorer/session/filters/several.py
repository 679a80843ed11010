"""One filter for several probes: which of its parts each of them is asked."""

from __future__ import annotations

from collections.abc import Sequence

from explorer.session.filters.of_calls import RETURNED
from explorer.session.filters.parser import conjuncts, names, parse
from explorer.session.probe_spec import ProbeKind, ProbeSpec


def apportion(text: str, specs: Sequence[ProbeSpec]) -> dict[ProbeSpec, str]:
    """The filter of each probe.

    A part that asks for the return value is for the return probes and calls, where there are some; every other part is
    for all probes, and it is an error of that probe when one of them has no such value.

    Args:
        text: The filter.
        specs: The probes.

    Returns:
        What each of them is asked; "" for nothing.

    Raises:
        FilterError: The filter cannot be read.
    """
    parts = [(text[node.start : node.end], names(node)) for node in conjuncts(parse(text))]
    returning = any(spec.kind is not ProbeKind.ENTRY for spec in specs)
    return {
        spec: " && ".join(
            part
            for part, named in parts
            if spec.kind is not ProbeKind.ENTRY or not returning or not any(map(RETURNED.match, named))
        )
        for spec in specs
    }
