"""What of a filter the kernel's event filters can ask, and why not the rest.

They compare a field with a constant, and know ``&`` only as "has one of these bits". A comparison of masked bits is
taken apart into such questions; texts and patterns have limits (``explorer.agent.filter_text``).
"""

from __future__ import annotations

import json

from explorer.session.filters.scope import Tree

ROOM = 3500
"""Characters of a filter that the kernel is surely able to take."""
_LONGEST_TEXT = 255


class CannotError(Exception):
    """The kernel cannot ask this; the message says why."""


def lowered(tree: Tree) -> Tree:
    """A condition in the words of the kernel.

    Raises:
        CannotError: It has none for it.
    """
    name, *operands = tree
    if name in ("and", "or", "not"):
        return [name, *(lowered(operand) for operand in operands)]
    left, right = operands
    if isinstance(right, str):
        return _text(name, left, right)
    if not isinstance(right, int):
        raise CannotError("it compares a value with a constant, not with another value")
    if left[0] in ("value", "tid", "cpu"):
        return tree
    if left[0] == "&" and left[1][0] == "value" and isinstance(left[2], int) and name in ("==", "!="):
        return _bits(name, left[1], left[2], right)
    raise CannotError("it knows threads, not processes" if left == ["pid"] else "it does not calculate")


def room_of(tree: Tree) -> int:
    """Characters that a lowered condition takes at most."""
    return len(json.dumps(tree))


def _bits(name: str, value: Tree, mask: int, wanted: int) -> Tree:
    """``(value & mask) == wanted``, bit by bit: those to be set one by one, those to be clear together."""
    if wanted == 0:
        some: Tree = ["!=", ["&", value, mask], 0]
        return some if name == "!=" else ["not", some]
    parts: list[Tree] = [["!=", ["&", value, 1 << bit], 0] for bit in range(wanted.bit_length()) if wanted >> bit & 1]
    if mask & ~wanted:
        parts.append(["not", ["!=", ["&", value, mask & ~wanted], 0]])
    same = ["and", *parts] if len(parts) > 1 else parts[0]
    return same if name == "==" else ["not", same]


def _text(name: str, left: Tree, constant: str) -> Tree:
    if not all(" " <= character <= "~" for character in constant):
        raise CannotError("it takes plain ASCII texts only")
    if '"' in constant and "'" in constant:
        raise CannotError("it takes no text with both sorts of quotes")
    if len(constant) > _LONGEST_TEXT:
        raise CannotError(f"it takes texts of up to {_LONGEST_TEXT} characters")
    if name == "~" and constant[:1] in tuple("!0123456789"):
        raise CannotError("it takes no pattern that begins with a digit or !")
    return [name, left, constant]
