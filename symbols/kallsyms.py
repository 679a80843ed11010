"""The kernel's own symbol table: /proc/kallsyms as columns.

The list has over 100,000 lines and the first rows must be on the screen half a second after the start, so well-formed
lines are taken apart by whole-column operations; only module lines and damaged lists are looked at line by line.
"""

from __future__ import annotations

import re
import sys
from array import array
from bisect import bisect_right
from itertools import pairwise

from symbols.errors import FactError
from symbols.list_text import damaged, decode
from symbols.symbol import Symbol

_LINE = re.compile(r"([0-9a-f]{1,16}) (\S) (\S+)(?:\t\[(\S+)\])?")
_PIECE = 1 << 16
_ABSOLUTE_TYPES = frozenset("aA")

PSEUDO_MODULES = frozenset({"bpf", "__builtin__ftrace", "__builtin__kprobes"})
"""What kallsyms prints in brackets though no module of that name exists: code made at run time."""


class SymbolTable:
    """The columns of kallsyms, in the order of the file.

    Attributes:
        names: One name a row.
        types: One type letter a row.
        hidden: Whether the kernel hides addresses (kptr_restrict, or a reader without privilege): then all are zero.
    """

    def __init__(self, names: list[str], addresses: array[int], types: str, modules: list[str | None], of: array[int]):
        """Use ``parse``; ``of[row]`` is an index into ``modules``, whose first entry is None for the kernel itself."""
        self.names = names
        self.types = types
        self._addresses = addresses
        self._modules = modules
        self._module_of = of
        self.hidden = bool(names) and not any(addresses)
        self._order: array[int] | None = None
        """Rows by address; None while the file's own order is that already."""
        self._sorted = addresses
        if not self.hidden and not all(a <= b for a, b in pairwise(addresses)):
            # sorted() is stable, so rows of one address keep the kernel's order, whose first is the name it prefers.
            self._order = array("I", sorted(range(len(names)), key=addresses.__getitem__))
            self._sorted = array("Q", map(addresses.__getitem__, self._order))

    def __len__(self) -> int:
        return len(self.names)

    def address(self, row: int) -> int | None:
        """The address of a row, or None when addresses are hidden."""
        return None if self.hidden else self._addresses[row]

    def module(self, row: int) -> str | None:
        """The module of a row, or None for the kernel itself."""
        return self._modules[self._module_of[row]]

    @property
    def modules(self) -> frozenset[str]:
        """The modules that have symbols."""
        return frozenset(name for name in self._modules if name and name not in PSEUDO_MODULES)

    def size(self, row: int) -> int | None:
        """Bytes to the next address; None when hidden or when what follows belongs to somebody else."""
        if self.hidden:
            return None
        start = self._addresses[row]
        following = bisect_right(self._sorted, start)
        if following == len(self._sorted) or self._module_of[self._row(following)] != self._module_of[row]:
            return None
        return self._sorted[following] - start

    def at(self, address: int) -> int | None:
        """The row of the symbol that holds an address: the first of its aliases, which is the one the kernel prints.

        Absolute symbols (per-CPU offsets and the like) hold nothing.
        """
        if self.hidden:
            return None
        position = bisect_right(self._sorted, address) - 1
        while position > 0 and self._sorted[position - 1] == self._sorted[position]:
            position -= 1
        if position < 0:
            return None
        row = self._row(position)
        return None if self.types[row] in _ABSOLUTE_TYPES else row

    def neighbours(self, row: int) -> tuple[int | None, int | None]:
        """The rows of the symbols with the next lower and the next higher address, within the same module."""
        if self.hidden:
            return None, None
        after = bisect_right(self._sorted, self._addresses[row])
        before = after - 1
        while before >= 0 and self._sorted[before] == self._addresses[row]:
            before -= 1
        return self._neighbour(before, row), self._neighbour(after, row)

    def symbol(self, row: int) -> Symbol:
        """All that is known of one row."""
        return Symbol(row, self.names[row], self.address(row), self.size(row), self.types[row], self.module(row))

    def _row(self, position: int) -> int:
        return position if self._order is None else self._order[position]

    def _neighbour(self, position: int, row: int) -> int | None:
        if not 0 <= position < len(self._sorted):
            return None
        other = self._row(position)
        return other if self._module_of[other] == self._module_of[row] else None


def parse(data: bytes, *, partial: bool = False) -> SymbolTable:
    """Read /proc/kallsyms.

    Args:
        data: The file, or its beginning.
        partial: Whether ``data`` is only a beginning: then its last, incomplete line is left out.

    Raises:
        FactError: A line is not one of kallsyms (the message has its number), or the list is empty.
    """
    if partial:
        data = data[: data.rfind(b"\n") + 1]
    elif not data:
        raise FactError("kallsyms is empty", "is the kernel built with CONFIG_KALLSYMS?")
    text = decode(data, "kallsyms")
    tab = text.find("\t")
    kernel_end = text.rfind("\n", 0, tab) + 1 if tab >= 0 else len(text)
    columns = _whole_columns(text, kernel_end)
    if columns is None:
        columns = [], array("Q"), ""
        kernel_end = 0
    names, addresses, types = columns
    modules: dict[str | None, int] = {None: 0}
    of = array("I", bytes(4 * len(names)))
    letters = []
    for number, line in enumerate(text[kernel_end:].splitlines(), len(names) + 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise damaged("kallsyms", number, line)
        address, letter, name, module = match.groups()
        addresses.append(int(address, 16))
        letters.append(letter)
        names.append(name)
        of.append(modules.setdefault(module, len(modules)))
    return SymbolTable(names, addresses, types + "".join(letters), list(modules), of)


def _whole_columns(text: str, stop: int) -> tuple[list[str], array[int], str] | None:
    """The columns of the lines before ``stop``, which name no module; None when they are not all of one shape.

    In pieces, because the words of the whole list at once would leave the heap in tatters.
    """
    names: list[str] = []
    digits: list[str] = []
    types: list[str] = []
    start = 0
    while start < stop:
        end = text.rfind("\n", start, min(start + _PIECE, stop)) + 1
        piece = text[start:end]
        words = piece.split()
        columns = words[0::3], words[1::3], words[2::3]
        # Put together again they must be what was read; then every line had three words with one blank between them.
        if not piece or "\n".join(map(" ".join, zip(*columns, strict=False))) + "\n" != piece:
            return None
        digits.append("".join(columns[0]))
        types.append("".join(columns[1]))
        names.extend(columns[2])
        if set(map(len, columns[0])) != {16} or len(types[-1]) != len(columns[1]):
            return None
        start = end
    try:
        addresses = array("Q", bytes.fromhex("".join(digits)))
    except ValueError:
        return None  # the careful reading finds the line and reports it
    if sys.byteorder == "little":
        addresses.byteswap()
    return names, addresses, "".join(types)
