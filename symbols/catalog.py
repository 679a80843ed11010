"""Everything known about every symbol, joined: what the list shows, what a name or an address stands for.

A catalog works from kallsyms alone, so that the first rows appear at once; the other facts are added as they arrive.
"""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rapidfuzz import process
from rapidfuzz.distance import OSA

from symbols import absent_names, prototypes, system_call_prototypes, system_calls, trust
from symbols.btf import Btf
from symbols.errors import FactError, KexploreError
from symbols.families import dotted_rows, grouped
from symbols.kallsyms import PSEUDO_MODULES, SymbolTable
from symbols.naming import Part, is_plain, part_of
from symbols.prototype import Prototype, Trust
from symbols.symbol import FUNCTION_TYPES, Instance, Symbol
from symbols.text_sections import find_sections
from symbols.tracing_lists import TracingLists
from symbols.type_index import TypeIndex
from symbols.verdict import Mechanism, Verdict
from symbols.verdicts import Evidence, judge

if TYPE_CHECKING:
    from symbols.dwarf.inline_index import InlineIndex  # not loaded where there is no debug information

_ALIKE = 0.6
"""Least similarity, of 0 to 1, of a name that is offered for one that does not exist."""


@dataclasses.dataclass(frozen=True, slots=True)
class Landing:
    """Where ``asked + offset`` really is.

    Attributes:
        asked: The symbol that was named.
        hit: The symbol that holds the byte; None when addresses are hidden or nothing is known to be there.
        offset: Distance from the start of ``hit``, or of ``asked`` where ``hit`` is None.
        inside: Whether the byte belongs to ``asked``; None when that cannot be told.
    """

    asked: Symbol
    hit: Symbol | None
    offset: int
    inside: bool | None


class Catalog:
    """The symbols of one kernel.

    Attributes:
        architecture: As ``uname -m`` prints it.
        rows: What a list shows by default, as rows of the table: functions, without padding, stubs, cold parts and
            section marks, one row for each name and module; variants right behind their functions.
        names: The names of ``rows``, in parallel, for the search.
    """

    def __init__(self, table: SymbolTable, architecture: str) -> None:
        self.architecture = architecture
        self._table = table
        self._lists: TracingLists | None = None
        self._system_calls: system_calls.Formats = {}
        self._btf: dict[str | None, Btf | KexploreError] = {}
        self._types: TypeIndex | None = None
        self._identity: trust.Identity | None = None
        self._prototypes: dict[int, Prototype] = {}
        """Of rows of the table, from debug information."""
        self._inlined: InlineIndex | None = None
        self._by_name: dict[str, int] = {}
        self._more: dict[str, list[int]] = {}
        """Names with more than one row: all of their rows."""
        self._dotted: dict[str, list[int]] | None = None
        shown, dotted = array("I"), array("I")
        by_name = self._by_name
        names, types = table.names, table.types
        # __pfx_ is half of all symbols; found by looking through the names when somebody asks for one.
        for row in [row for row, name in enumerate(names) if not name.startswith("__pfx_")]:
            name = names[row]
            if by_name.setdefault(name, row) != row:
                others = self._more.setdefault(name, [by_name[name]])
                fresh = all(table.module(other) != table.module(row) for other in others)
                others.append(row)
                if not fresh:
                    continue
            if types[row] in FUNCTION_TYPES and (is_plain(name) or part_of(name) in _SHOWN):
                shown.append(row)
                if "." in name:
                    dotted.append(row)
        self.rows: Sequence[int] = grouped(shown, dotted, self._shown_owner)
        self.names: list[str] = [table.names[row] for row in self.rows]
        self._sections = find_sections(architecture, self._address_of)

    def add_tracing_lists(self, lists: TracingLists) -> None:
        """Add what the kernel says about tracing; until then verdicts that depend on it are unknown."""
        self._lists = lists

    def add_btf(self, btf: Btf | KexploreError, module: str | None = None) -> None:
        """Add the types of the kernel, or of one module; or the reason why they cannot be had."""
        self._btf[module] = btf
        if module is None:
            self._identity = None
        self._types = None

    def add_prototype(self, symbol: Symbol, prototype: Prototype) -> None:
        """Add what debug information says of one function; it counts where BTF is not exact."""
        self._prototypes[symbol.index] = prototype

    def add_inlined(self, index: InlineIndex) -> None:
        """Add all inlined copies of the kernel: then a name without a symbol may be known as inlined only."""
        self._inlined = index

    def types(self) -> TypeIndex:
        """All named types that are known by now; collecting them takes some 0.1 s the first time.

        Raises:
            FactError: The kernel's types have not been added yet.
            KexploreError: They cannot be had, for this reason.
        """
        base = self._btf.get(None)
        if base is None:
            raise FactError("the kernel's types have not been loaded yet", "wait a moment")
        if isinstance(base, KexploreError):
            raise base
        if self._types is None:
            self._types = TypeIndex({module: btf for module, btf in self._btf.items() if isinstance(btf, Btf)})
        return self._types

    def add_system_calls(self, formats: system_calls.Formats) -> None:
        """Add the arguments of the system calls, as their tracepoints have them."""
        self._system_calls = formats

    def weigh_btf(self) -> None:
        """Find out how far BTF can be believed, once; some 0.05 s, better spent before it is asked."""
        kernel = self._btf.get(None)
        if self._identity is None and isinstance(kernel, Btf):
            self._identity = trust.Identity(kernel, self._table.names, self._only_address)

    def btf(self, module: str | None) -> Btf | KexploreError | None:
        """The types of the kernel, or of one module, or the reason why they cannot be had; None before they came."""
        return self._btf.get(module)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def addresses_hidden(self) -> bool:
        """Whether the kernel hides addresses (kptr_restrict): names work, whatever needs addresses does not."""
        return self._table.hidden

    def symbol(self, index: int) -> Symbol:
        """The symbol of a row of the table."""
        return self._table.symbol(index)

    def module(self, index: int) -> str | None:
        """The module of a row of the table."""
        return self._table.module(index)

    def find(self, name: str) -> list[Symbol]:
        """All symbols of exactly this name, in the kernel's order; ``module:name`` looks in one module only."""
        module, colon, plain = name.partition(":")
        if not colon:
            return [self._table.symbol(row) for row in self._rows_of(name)]
        return [self._table.symbol(row) for row in self._rows_of(plain) if self._table.module(row) == module]

    def at(self, address: int) -> tuple[Symbol, int] | None:
        """The symbol that holds an address, and the distance from its start; None when no symbol does."""
        row = self._table.at(address)
        if row is None:
            return None
        symbol = self._table.symbol(row)
        assert symbol.address is not None
        offset = address - symbol.address
        if symbol.size is None and offset:
            return None  # the last of its module: how far it reaches is not known
        return symbol, offset

    def resolve(self, name: str, offset: int) -> Landing:
        """What ``name + offset`` really stands for: past its end that is another function.

        Raises:
            UnknownSymbolError: No symbol has this name.
            KexploreError: Several have it.
        """
        symbols = self.find(name)
        if not symbols:
            raise absent_names.error_on(self, name)
        if len(symbols) > 1:
            raise absent_names.several(self, name)
        return self.land(symbols[0], offset)

    def land(self, symbol: Symbol, offset: int) -> Landing:
        """What ``offset`` bytes after the start of a symbol really stands for."""
        if symbol.address is None:
            return Landing(symbol, None, offset, True if offset == 0 else None)
        if (symbol.size is not None and 0 <= offset < symbol.size) or offset == 0:
            return Landing(symbol, symbol, offset, True)
        found = self.at(symbol.address + offset)
        if found is None:
            return Landing(symbol, None, offset, None if symbol.size is None and offset > 0 else False)
        return Landing(symbol, found[0], found[1], False)

    def instances(self, name: str) -> list[Instance]:
        """All symbols of a name with what stands beside each, to pick one by."""
        return [self.instance(symbol) for symbol in self.find(name)]

    def instance(self, symbol: Symbol) -> Instance:
        """A symbol with what stands beside it; padding is looked over."""
        names = self._table.names
        before, after = self._table.neighbours(symbol.index)
        if before is not None and part_of(names[before]) is Part.PADDING:
            before, _ = self._table.neighbours(before)
        if after is not None and part_of(names[after]) is Part.PADDING:
            _, after = self._table.neighbours(after)
        return Instance(
            symbol, names[before] if before is not None else None, names[after] if after is not None else None
        )

    def variants(self, name: str) -> list[Symbol]:
        """What the compiler made of a function of this name: its ``.isra``, ``.constprop``, ``.part`` and ``.cold``."""
        module, _, plain = name.rpartition(":")
        found = (self._table.symbol(row) for row in self._dotted_rows(plain))
        return [symbol for symbol in found if symbol.is_function and (not module or symbol.module == module)]

    def kin(self, symbol: Symbol) -> list[Instance]:
        """All functions that come of the same name: those that share it, then their variants and parts."""
        rows = [*self._rows_of(symbol.base_name), *self._dotted_rows(symbol.base_name)]
        functions = (row for row in rows if self._table.types[row] in FUNCTION_TYPES)
        return [self.instance(self._table.symbol(row)) for row in functions]

    def count(self, symbol: Symbol) -> int:
        """How many symbols the kernel finds for this name.

        It looks for a plain name in itself and in all modules, for ``module:name`` in that module (trace_kprobe.c,
        number_of_same_symbols, since 6.7); code made at run time does not count.
        """
        if symbol.name not in self._more and not symbol.name.startswith("__pfx_"):
            return 1
        if symbol.module is not None:
            return len(self.find(symbol.qualified_name))
        table = self._table
        return sum(table.module(row) not in PSEUDO_MODULES for row in self._rows_of(symbol.name))

    def verdict(self, symbol: Symbol) -> Verdict:
        """Whether the entry of a symbol can be probed, how, and if not, why."""
        part = part_of(symbol.name)
        if part is Part.PADDING:  # refused whatever else is known, and slow to look up by name
            return judge(Evidence(symbol, part, None, 1, self._sections, self._lists))
        owner = None if part is Part.WHOLE else self._owner(symbol)
        return judge(Evidence(symbol, part, owner, self.count(symbol), self._sections, self._lists))

    def ftrace_site(self, symbol: Symbol) -> int | None:
        """The address of ftrace's call site at a function's entry; None without one, and where nobody tells it."""
        lists = self._lists
        if lists is None or isinstance(lists.traceable, KexploreError) or lists.traceable.sites is None:
            return None
        if symbol.address is None:
            return None
        return lists.traceable.site_in(symbol.address, symbol.address + (symbol.size or 1))

    def verdict_on_name(self, name: str) -> Verdict:
        """Why there is no symbol of this name, as far as that can be told."""
        return absent_names.verdict_on(self, name)

    def is_loaded(self, module: str) -> bool:
        """Whether a module of this name is there."""
        modules = self._lists.modules if self._lists else {}
        return module in self._table.modules or (not isinstance(modules, KexploreError) and module in modules)

    def in_types(self, module: str, name: str) -> bool:
        """Whether type information names a function: that of a module, or with "" any."""
        read = [self._btf.get(module)] if module else self._btf.values()
        return any(isinstance(btf, Btf) and btf.functions(name) for btf in read)

    def prototype(self, symbol: Symbol) -> Prototype:
        """The prototype of a function; with ``Trust.NONE`` and the cause where nothing is known."""
        btf = self._btf.get(symbol.module)
        if isinstance(btf, Btf):
            instances = sum(other.module == symbol.module for other in self.find(symbol.name))
            found = prototypes.from_btf(btf, self.architecture, symbol.name, instances=instances)
            if found.trust is Trust.EXACT and (doubt := self._doubt(symbol, found)):
                found = dataclasses.replace(found, trust=Trust.VARIANT, cause=doubt)
        else:
            whose = f"module {symbol.module}" if symbol.module else "the kernel"
            cause = f"the types of {whose} have not been read yet" if btf is None else btf.message
            found = prototypes.without_btf(self.architecture, symbol.name, cause)
        found = system_call_prototypes.refine(found, self.architecture, self._system_calls, btf)
        if found.trust in (Trust.NONE, Trust.VARIANT) and symbol.index in self._prototypes:
            return self._prototypes[symbol.index]
        return found

    def _doubt(self, symbol: Symbol, prototype: Prototype) -> str:
        """Why a prototype that is exact by what BTF says need not be that of this symbol; "" when it is."""
        if trust.may_be_assembly(prototype) and self.verdict(symbol).mechanism is not Mechanism.FTRACE:
            return trust.MAYBE_ASSEMBLY
        if symbol.type != "t" or "." in symbol.name:
            return ""
        kernel, own = self._btf.get(None), self._btf[symbol.module]
        if not isinstance(kernel, Btf) or not isinstance(own, Btf):
            return trust.NOT_CHECKED
        self.weigh_btf()
        assert self._identity is not None
        return "" if self._identity.is_certain(symbol, own) else trust.NOT_CHECKED

    def _only_address(self, name: str, module: str | None) -> int | None:
        rows = [row for row in self._rows_of(name) if self._table.module(row) == module]
        return self._table.address(rows[0]) if len(rows) == 1 else None

    def inlined_only(self, name: str) -> int:
        """How many inlined copies a function has that has no symbol; 0 where none are known, and where it has one."""
        return 0 if self._inlined is None or self._rows_of(name) else self._inlined.count(name)

    def nearest(self, name: str, limit: int = 3) -> list[str]:
        """Names like one that does not exist, best first."""
        plain = name.rpartition(":")[2]
        found = process.extract(
            plain, self.names, scorer=OSA.normalized_similarity, limit=4 * limit, score_cutoff=_ALIKE
        )
        return list(dict.fromkeys(match for match, _, _ in found))[:limit]

    def _address_of(self, name: str) -> int | None:
        row = self._by_name.get(name)
        return None if row is None or self._table.module(row) is not None else self._table.address(row)

    def _dotted_rows(self, base: str) -> Sequence[int]:
        if self._dotted is None:
            self._dotted = dotted_rows(self._table.names)
        return self._dotted.get(base, ())

    def _shown_owner(self, row: int) -> int | None:
        """The function of the same module that a dotted name belongs to."""
        base = self._table.names[row].partition(".")[0]
        module = self._table.module(row)
        return next((other for other in self._rows_of(base) if self._table.module(other) == module), None)

    def _owner(self, symbol: Symbol) -> Symbol | None:
        """The function that the kernel looks up for a dotted name: the first of the name before the dot."""
        if symbol.base_name == symbol.name:
            return None
        rows = (row for row in self._rows_of(symbol.base_name) if self._table.module(row) not in PSEUDO_MODULES)
        first = next(rows, None)
        return None if first is None else self._table.symbol(first)

    def _rows_of(self, name: str) -> Sequence[int]:
        if name.startswith("__pfx_"):
            return [row for row, other in enumerate(self._table.names) if other == name]
        if name in self._more:
            return self._more[name]
        row = self._by_name.get(name)
        return [] if row is None else [row]


_SHOWN = frozenset({Part.WHOLE, Part.VARIANT})
