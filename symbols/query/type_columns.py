"""What the functions of a list take and return: for each type the functions concerned."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence

from symbols import bit_sets
from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import VOID_ID
from symbols.c_types import TypeKind
from symbols.catalog import Catalog
from symbols.errors import BtfError
from symbols.prototypes import function_meant
from symbols.query.type_names import TypeName, TypeNameError, TypePattern, name_in, read_type
from symbols.symbol import Symbol
from symbols.system_calls import body_of, entry_of

PIECE = 128
"""Functions between two pauses: some milliseconds of work."""
_MANY = 254
_NOT_KNOWN = 255

_Signature = tuple[int, tuple[int, ...]]
"""The numbers of the types of the return value and of the parameters."""


class TypeColumns:
    """Answers as sets of places in the list (see ``symbols.bit_sets``); one thread builds it, for some 0.5 s.

    Attributes:
        known: The places whose prototype is known.
    """

    def __init__(self, catalog: Catalog, rows: Sequence[int], pause: Callable[[], None]) -> None:
        """Collect the prototypes.

        Args:
            catalog: With the types that are known by now.
            rows: The list: rows of the catalog's table.
            pause: Called every few milliseconds.
        """
        self._catalog = catalog
        self._size = len(rows)
        self._numbers: dict[TypeName, int] = {}
        self._with_name: dict[str, list[tuple[TypeName, int]]] = {}
        self._taking: list[array[int]] = []
        self._returning: list[array[int]] = []
        self._pointers: set[int] = set()
        self._by_id: dict[Btf, dict[int, int]] = {}
        self._by_prototype: dict[Btf, dict[int, _Signature]] = {}
        self._counts = bytearray([_NOT_KNOWN]) * self._size
        for place, row in enumerate(rows):
            if place % PIECE == 0:
                pause()
            signature = self._signature(catalog.symbol(row))
            if signature is not None:
                returned, taken = signature
                self._returning[returned].append(place)
                for number in set(taken):
                    self._taking[number].append(place)
                self._counts[place] = min(len(taken), _MANY)
        self._by_id.clear()
        self._by_prototype.clear()
        self.known = bit_sets.where(self._counts, range(_NOT_KNOWN))

    def taking(self, pattern: TypePattern) -> int:
        """Functions with a parameter of this type."""
        return self._union(self._taking, self._meant(pattern))

    def returning(self, pattern: TypePattern) -> int:
        """Functions that return this type."""
        return self._union(self._returning, self._meant(pattern))

    def returning_pointers(self) -> int:
        """Functions that return any pointer, also by the name of a typedef."""
        return self._union(self._returning, self._pointers)

    def with_arguments(self, least: int, most: int) -> int:
        """Functions with so many parameters, both bounds included."""
        return bit_sets.where(self._counts, range(least, min(most, _MANY) + 1))

    def spellings(self, name: str, *, taken: bool) -> list[str]:
        """The types of this name that functions take, or return, the most frequent first; three at most."""
        places = self._taking if taken else self._returning
        found = [(-len(places[number]), other) for other, number in self._with_name.get(name, ()) if places[number]]
        return [str(other) for _, other in sorted(found, key=lambda entry: entry[0])[:3]]

    def _meant(self, pattern: TypePattern) -> list[int]:
        return [number for name, number in self._with_name.get(pattern.name, ()) if pattern.means(name)]

    def _union(self, places: Sequence[array[int]], numbers: Iterable[int]) -> int:
        return bit_sets.from_members([places[number] for number in numbers], self._size)

    def _signature(self, symbol: Symbol) -> _Signature | None:
        if symbol.name[:2] == "__" and (entry_of(symbol.name) or body_of(symbol.name)):
            return self._as_shown(symbol)
        btf = self._catalog.btf(symbol.module)
        if not isinstance(btf, Btf):
            return None
        try:
            function = function_meant(btf, symbol.name)
            return None if function is None else self._of_prototype(btf, btf.type(function).target)
        except BtfError:
            return None  # the card tells what is wrong with it

    def _as_shown(self, symbol: Symbol) -> _Signature | None:
        """Of a system call, whose prototype is put together from more than BTF; there are some hundreds of them."""
        prototype = self._catalog.prototype(symbol)
        if not prototype.parameters and prototype.return_type.kind is TypeKind.UNKNOWN:
            return None
        numbers = []
        for described in (prototype.return_type, *(parameter.type for parameter in prototype.parameters)):
            try:
                name = read_type(described.text)
            except TypeNameError:
                name = TypeName("", "", 0)
            numbers.append(self._number(name, is_pointer=described.kind is TypeKind.POINTER))
        return numbers[0], tuple(numbers[1:])

    def _of_prototype(self, btf: Btf, prototype: int) -> _Signature:
        signatures = self._by_prototype.setdefault(btf, {})
        if prototype not in signatures:
            returned, *taken = btf.signature(prototype)
            if taken and taken[-1] == VOID_ID:
                taken.pop()  # the three dots
            signatures[prototype] = self._of_id(btf, returned), tuple(self._of_id(btf, taken_id) for taken_id in taken)
        return signatures[prototype]

    def _of_id(self, btf: Btf, type_id: int) -> int:
        numbers = self._by_id.setdefault(btf, {})
        if type_id not in numbers:
            name, resolved = name_in(btf, type_id), btf.resolve(type_id)
            numbers[type_id] = self._number(name, is_pointer=resolved is not None and resolved.kind is Kind.PTR)
        return numbers[type_id]

    def _number(self, name: TypeName, *, is_pointer: bool) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._taking)
            self._with_name.setdefault(name.name, []).append((name, number))
            self._taking.append(array("I"))
            self._returning.append(array("I"))
        if is_pointer:
            self._pointers.add(number)
        return number
