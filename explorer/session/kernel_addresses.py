"""Between the addresses of a file and those of the running kernel, which was moved when it was loaded.

A kernel moves as a whole, a module by sections. Where the kernel hides its addresses, names take their place.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right

from symbols.catalog import Catalog
from symbols.dwarf.bytes_at import raw_string
from symbols.dwarf.image import Image
from symbols.symbol import Symbol

_MARK = "_stext"
"""Where the text of a kernel begins, on every architecture."""
_SECTION = 32
"""The bits of an address in a module's file that count within a section (``symbols.dwarf.image``)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Spot:
    """A place in the running kernel: ``offset`` bytes into a symbol."""

    symbol: Symbol
    offset: int


class KernelAddresses:
    """The addresses of one file and what they are at run time.

    Args:
        image: The file.
        catalog: Of the running kernel.
        module: What the file is of; None for the kernel itself.
    """

    def __init__(self, image: Image, catalog: Catalog, module: str | None) -> None:
        self._image = image
        self._catalog = catalog
        self._module = module
        self._moved: dict[int, int] | None = None
        self._functions: list[tuple[int, int, int]] = []

    def in_file(self, symbol: Symbol) -> int | None:
        """Where a symbol is in the file; None when that cannot be told (or it is not there)."""
        if symbol.address is not None:
            if self._module is None:
                moved = self._by().get(0)
                return None if moved is None else symbol.address - moved
            candidates = self._image.addresses_of(symbol.name)
            here = [a for a in candidates if self._at_run_time(a) == symbol.address]
            return here[0] if here else candidates[0] if len(candidates) == 1 and not self._by() else None
        candidates = self._image.addresses_of(symbol.name)
        return candidates[0] if len(set(candidates)) == 1 else None

    def spot(self, address: int) -> Spot | None:
        """The symbol of the running kernel that holds an address of the file; None when that cannot be told."""
        moved = self._at_run_time(address)
        if moved is not None:
            found = self._catalog.at(moved)
            return Spot(*found) if found else None
        if not self._functions:
            self._functions = sorted(self._image.functions())
        place = bisect_right(self._functions, address, key=lambda function: function[0]) - 1
        if place < 0 or address >= self._functions[place][0] + self._functions[place][1]:
            return None
        start, _, name = self._functions[place]
        symbols = self._named(raw_string(self._image.symbol_names, name).decode("utf-8", "replace"))
        return Spot(symbols[0], address - start) if len(symbols) == 1 else None

    def _at_run_time(self, address: int) -> int | None:
        moved = self._by().get(0 if self._module is None else address >> _SECTION)
        return None if moved is None else address + moved

    def _by(self) -> dict[int, int]:
        """By how much each section was moved; the kernel counts as one."""
        if self._moved is None:
            self._moved = self._whole() if self._module is None else self._sections()
        return self._moved

    def _whole(self) -> dict[int, int]:
        marks, there = self._catalog.find(_MARK), self._image.addresses_of(_MARK)
        if len(marks) != 1 or not there or marks[0].address is None:
            return {}
        return {0: marks[0].address - there[0]}

    def _sections(self) -> dict[int, int]:
        moved: dict[int, int] = {}
        seen: set[bytes] = set()
        functions = [(a, raw_string(self._image.symbol_names, name)) for a, _, name in self._image.functions()]
        twice = {name for _, name in functions if name in seen or seen.add(name)}  # type: ignore[func-returns-value]
        for address, name in functions:
            section = address >> _SECTION
            if section not in moved and name not in twice:
                symbols = self._named(name.decode("utf-8", "replace"))
                if len(symbols) == 1 and symbols[0].address is not None:
                    moved[section] = symbols[0].address - address
        return moved

    def _named(self, name: str) -> list[Symbol]:
        return self._catalog.find(f"{self._module}:{name}" if self._module else name)
