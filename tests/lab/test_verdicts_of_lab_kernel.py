"""Verdicts on a real kernel: what we say can be probed is taken, what we say cannot is refused."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from symbols import kallsyms
from symbols.catalog import Catalog
from symbols.symbol import Symbol
from symbols.tracing_lists import TracingLists, parse_blacklist, parse_enabled, parse_modules, parse_traceable
from symbols.verdict import VerdictKind

TRACEFS = Path("/sys/kernel/tracing")
GROUP = "verdicts"
SAMPLE = 25


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    catalog = Catalog(kallsyms.parse(Path("/proc/kallsyms").read_bytes()), "x86_64")
    catalog.add_tracing_lists(
        TracingLists(
            parse_traceable((TRACEFS / "available_filter_functions").read_bytes()),
            parse_blacklist(Path("/sys/kernel/debug/kprobes/blacklist").read_bytes()),
            parse_modules(Path("/proc/modules").read_bytes()),
        )
    )
    return catalog


@pytest.fixture(scope="module")
def by_kind(catalog: Catalog) -> dict[VerdictKind, list[Symbol]]:
    """A seeded choice of symbols of each kind of verdict."""
    dice = random.Random(17)
    found: dict[VerdictKind, list[Symbol]] = defaultdict(list)
    for index in dice.sample(range(len(catalog)), 12_000):
        symbol = catalog.symbol(index)
        kind = catalog.verdict(symbol).kind
        if len(found[kind]) < SAMPLE:
            found[kind].append(symbol)
    return found


@pytest.fixture(autouse=True)
def no_probes_left() -> Iterator[None]:
    yield
    if (TRACEFS / "events" / GROUP).exists():
        write(f"-:{GROUP}/")


def write(definition: str) -> None:
    events = os.open(TRACEFS / "kprobe_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(events, definition.encode())
    finally:
        os.close(events)


def taken(place: str, number: int) -> bool:
    """Whether the kernel takes a probe there. It registers the probe, disabled, when it is defined."""
    try:
        write(f"p:{GROUP}/e{number} {place}")
    except OSError:
        return False
    return True


def test_what_can_be_probed_is_taken(by_kind: dict[VerdictKind, list[Symbol]]) -> None:
    symbols = by_kind[VerdictKind.PROBEABLE]
    assert len(symbols) == SAMPLE
    assert [symbol for number, symbol in enumerate(symbols) if not taken(symbol.qualified_name, number)] == []


@pytest.mark.parametrize(
    "kind",
    [
        VerdictKind.BLACKLISTED, VerdictKind.NOTRACE, VerdictKind.DISCARDED_INIT, VerdictKind.PADDING,
        VerdictKind.STUB, VerdictKind.NOT_FUNCTION,
    ],
)  # fmt: skip
def test_what_cannot_be_probed_is_refused(kind: VerdictKind, by_kind: dict[VerdictKind, list[Symbol]]) -> None:
    assert by_kind[kind]
    accepted = [symbol for number, symbol in enumerate(by_kind[kind]) if taken(f"{symbol.address:#x}", number)]
    assert accepted == []


def test_duplicates_are_refused_by_name_and_taken_by_address(
    catalog: Catalog, by_kind: dict[VerdictKind, list[Symbol]]
) -> None:
    certain = 0
    for number, symbol in enumerate(by_kind[VerdictKind.DUPLICATE]):
        assert not taken(symbol.name, number), symbol
        if catalog.verdict(symbol).mechanism is not None:  # otherwise some of that name are notrace, and which is open
            assert taken(f"{symbol.address:#x}", number), symbol
            certain += 1
    assert certain


def test_the_list_of_enabled_functions_is_understood(by_kind: dict[VerdictKind, list[Symbol]]) -> None:
    symbol = by_kind[VerdictKind.PROBEABLE][0]
    write(f"p:{GROUP}/enabled {symbol.qualified_name}")
    enable = TRACEFS / "events" / GROUP / "enabled" / "enable"
    enable.write_text("1")
    try:
        enabled = parse_enabled((TRACEFS / "enabled_functions").read_bytes())
    finally:
        enable.write_text("0")
    assert [function.users for function in enabled if function.name == symbol.name] == [1]
