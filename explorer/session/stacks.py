"""Call stacks in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from explorer.session.events import Event
from symbols.catalog import Catalog

MOST_FRAMES = 127
"""Of each stack, as the kernel reads them (PERF_MAX_STACK_DEPTH); one that has so many may have been cut."""


def kernel_frame(catalog: Catalog | None, address: int) -> str:
    """An address of the kernel as ``symbol+0x12``, or itself where no symbol holds it."""
    found = catalog.at(address) if catalog is not None else None
    if found is None:
        return f"{address:#x}"
    symbol, offset = found
    place = f"{symbol.module}:{symbol.name}" if symbol.module else symbol.name
    return f"{place}+{offset:#x}" if offset else place


def frames(catalog: Catalog | None, event: Event) -> Iterator[str]:
    """The frames of both stacks, innermost first; those of the process are bare addresses of its memory."""
    kernel, user = event.stacks or ((), ())
    yield from (kernel_frame(catalog, address) for address in kernel)
    yield from (f"{address:#x} (process)" for address in user if address)


def to_json(catalog: Catalog | None, stacks: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Both stacks for a program."""
    kernel, user = stacks
    return {
        "kernel": [{"address": hex(address), "symbol": kernel_frame(catalog, address)} for address in kernel],
        "user": [{"address": hex(address)} for address in user],
    }
