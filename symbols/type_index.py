"""All named structs, unions, enums and typedefs of a kernel and its modules, found by name or by a few letters."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence

from rapidfuzz import process
from rapidfuzz.distance import OSA

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import BtfType
from symbols.errors import BtfError
from symbols.search import SearchIndex

KEYWORDS = {
    Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum", Kind.ENUM64: "enum", Kind.TYPEDEF: "typedef",
}  # fmt: skip
_KNOWN_KEYWORDS = frozenset(KEYWORDS.values())
_DEFINED = frozenset({Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64})
_ALIKE = 0.6
"""Least similarity, of 0 to 1, of a name that is offered for one that does not exist."""


@dataclasses.dataclass(frozen=True, slots=True)
class NamedType:
    """A type and where it is defined.

    Attributes:
        btf: Of the kernel or of a module.
        module: The module; None for the kernel itself.
        record: The type's own record: of a typedef, the typedef's.
    """

    btf: Btf
    module: str | None
    record: BtfType

    @property
    def text(self) -> str:
        """As C writes it: ``struct bio``; a typedef by its name alone."""
        if self.record.kind is Kind.TYPEDEF:
            return self.record.name
        keyword = "union" if self.record.flag else "struct"
        return f"{KEYWORDS.get(self.record.kind, keyword)} {self.record.name or '{...}'}"

    @property
    def defined(self) -> BtfType:
        """The record of the struct, union or enum that it is, beneath typedefs.

        Raises:
            BtfError: The typedef is damaged.
        """
        record = self.btf.resolve(self.record.id)
        if record is None:
            raise BtfError(f"{self.record.name} is void")
        return record


@dataclasses.dataclass(frozen=True, slots=True)
class TypesFound:
    """What a query found.

    Attributes:
        rows: Positions in ``TypeIndex.names``, best first.
        total: How many match.
        at_least: Whether ``total`` is only a lower bound.
        approximate: Whether typos had to be tolerated.
    """

    rows: Sequence[int]
    total: int
    at_least: bool = False
    approximate: bool = False


class TypeIndex:
    """The types of one kernel.

    Typedefs are listed where they lead to a struct, union or enum. A module's BTF repeats nothing of the kernel's, so
    a name that occurs twice stands for two types.

    Attributes:
        names: The name of each type, without its keyword, the kernel's own first.
    """

    def __init__(self, types: Mapping[str | None, Btf]) -> None:
        """Collect the types; some 60 ms for a kernel.

        Args:
            types: The BTF of the kernel (by None) and of modules by their names.
        """
        self.names: list[str] = []
        self._ids: list[tuple[str | None, Btf, int]] = []
        self._keywords: list[str] = []
        self._rows: dict[str, list[int]] = {}
        for module, btf in sorted(types.items(), key=lambda item: item[0] or ""):
            for kind, keyword in KEYWORDS.items():
                for type_id, name in btf.named([kind]):
                    if kind is not Kind.TYPEDEF or _leads_somewhere(btf, type_id):
                        self._rows.setdefault(name, []).append(len(self.names))
                        self.names.append(name)
                        self._keywords.append(keyword)
                        self._ids.append((module, btf, type_id))
        self._search: SearchIndex | None = None
        self._searching = threading.Lock()

    def __len__(self) -> int:
        return len(self.names)

    def entry(self, row: int) -> NamedType:
        """The type of a row."""
        module, btf, type_id = self._ids[row]
        return NamedType(btf, module, btf.type(type_id))

    def find(self, text: str) -> list[NamedType]:
        """All types of exactly this name: ``bio``, ``struct bio``; ``module:bio`` looks in one module only."""
        module, colon, plain = text.rpartition(":")
        *keywords, name = plain.split() or [""]
        rows = [row for row in self._rows.get(name, ()) if not keywords or keywords == [self._keywords[row]]]
        return [self.entry(row) for row in rows if not colon or self._ids[row][0] == module.strip()]

    def nearest(self, text: str, limit: int = 3) -> list[str]:
        """The names spelled most like one that does not exist."""
        name = text.split()[-1] if text.split() else ""
        found = process.extract(
            name, list(self._rows), scorer=OSA.normalized_similarity, processor=None, score_cutoff=_ALIKE, limit=limit
        )
        return [match for match, _, _ in found]

    def search(self, query: str, limit: int, cancelled: Callable[[], bool] = lambda: False) -> TypesFound:
        """The types that a few letters mean; a first word ``struct``, ``union``, ``enum`` or ``typedef`` picks these.

        The first call indexes the names: some 0.1 s.
        """
        words = query.split()
        keyword = words[0] if len(words) > 1 and words[0] in _KNOWN_KEYWORDS else ""
        wanted = " ".join(words[1:] if keyword else words)
        count = len(self.names) if keyword or not wanted else limit  # of one keyword: the others are dropped afterwards
        with self._searching:
            if self._search is None:
                self._search = SearchIndex(self.names)
            result = self._search.search(wanted, count, cancelled)
        rows = [row for row in result.rows if not keyword or self._keywords[row] == keyword]
        total = len(rows) if keyword else result.total
        return TypesFound(rows[:limit], total, not result.exhaustive, result.approximate)


def _leads_somewhere(btf: Btf, type_id: int) -> bool:
    try:
        record = btf.resolve(type_id)
    except BtfError:
        return False
    return record is not None and record.kind in _DEFINED
