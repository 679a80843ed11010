"""One symbol of the kernel, as the rest of the program passes it around."""

from __future__ import annotations

import dataclasses

FUNCTION_TYPES = frozenset("tTwW")
"""The type letters of text in kallsyms (``w``: a weak function; a weak variable would be ``v``)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Symbol:
    """A line of kallsyms.

    Attributes:
        index: Its row in the symbol table.
        name: As the kernel writes it, with its suffixes.
        address: Of its first byte; None when the kernel hides addresses.
        size: Bytes to the next address, so alignment padding is included; None when that cannot be told.
        type: The type letter: ``t`` local text, ``T`` global text, ``d`` data ...
        module: The module that it belongs to; None for the kernel itself.
    """

    index: int
    name: str
    address: int | None
    size: int | None
    type: str
    module: str | None

    @property
    def is_function(self) -> bool:
        """Whether it stands for text, as far as its type letter says."""
        return self.type in FUNCTION_TYPES

    @property
    def base_name(self) -> str:
        """The name before the compiler's suffixes: ``foo`` of ``foo.isra.0``."""
        return self.name.partition(".")[0] or self.name

    @property
    def qualified_name(self) -> str:
        """``module:name``, or the plain name in the kernel itself."""
        return f"{self.module}:{self.name}" if self.module else self.name


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """One of several symbols of the same name, and the names beside it by which a person tells them apart."""

    symbol: Symbol
    before: str | None
    after: str | None

    @property
    def words(self) -> str:
        """Its address, its module, and what stands beside it."""
        symbol = self.symbol
        if symbol.address is None:
            return symbol.qualified_name
        beside = " and ".join(name for name in (self.before, self.after) if name)
        words = [words for words in (symbol.module and f"in {symbol.module}", beside and f"beside {beside}") if words]
        return f"{symbol.address:#x}" + (f" ({', '.join(words)})" if words else "")
