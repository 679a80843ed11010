"""Functions and what the compiler made of them: ``foo`` with its ``foo.isra.0``, ``foo.part.0``, ``foo.cold``."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence

MARK = "."


def dotted_rows(names: Sequence[str]) -> dict[str, list[int]]:
    """The rows of dotted names by the name before the dot; padding (``__pfx_foo.isra.0``) has families of its own."""
    found: dict[str, list[int]] = {}
    for row in [row for row, name in enumerate(names) if MARK in name]:
        found.setdefault(names[row].partition(MARK)[0], []).append(row)
    return found


def grouped(rows: Sequence[int], dotted: Iterable[int], owner: Callable[[int], int | None]) -> array[int]:
    """Rows with each dotted one moved right behind its function.

    Args:
        rows: In any order.
        dotted: Those of them whose names have a dot.
        owner: The row of the function that a dotted one belongs to, if there is one; it need not be listed.
    """
    listed = frozenset(rows)
    behind: dict[int, list[int]] = {}
    for row in dotted:
        if (first := owner(row)) in listed and first is not None:
            behind.setdefault(first, []).append(row)
    moved = {row for of_one in behind.values() for row in of_one}
    ordered = array("I")
    for row in rows:
        if row not in moved:
            ordered.append(row)
            if row in behind:
                ordered.extend(behind[row])
    return ordered


def together(names: Sequence[str], ranked: Sequence[int]) -> Sequence[int]:
    """Search results with each dotted name moved up to its function, where that was found before it.

    Args:
        names: By position.
        ranked: Positions, best first.
    """
    dotted = [position for position in ranked if MARK in names[position]]
    if not dotted:
        return ranked
    places = {position: place for place, position in enumerate(ranked)}
    functions = {names[position]: position for position in reversed(ranked) if MARK not in names[position]}

    def owner(position: int) -> int | None:
        first = functions.get(names[position].partition(MARK)[0])
        return first if first is not None and places[first] < places[position] else None

    return grouped(ranked, dotted, owner)
