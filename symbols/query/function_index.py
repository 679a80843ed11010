"""Which functions of a list meet the terms of a query."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from array import array
from collections.abc import Callable, Collection, Mapping, Sequence

from symbols import bit_sets
from symbols.catalog import Catalog
from symbols.naming import Part, part_of
from symbols.query.terms import Arguments, InModule, Is, Named, Property, Returns, Takes, Term
from symbols.query.type_columns import PIECE, TypeColumns
from symbols.verdict import Mechanism, Verdict, VerdictKind

_VERDICTS: Mapping[Property, Callable[[Verdict], bool]] = {
    Property.PROBEABLE: lambda verdict: verdict.kind is VerdictKind.PROBEABLE,
    Property.DUPLICATE: lambda verdict: verdict.kind is VerdictKind.DUPLICATE,
    Property.REFUSED: lambda verdict: not verdict.can_arm,
    Property.BLACKLISTED: lambda verdict: verdict.kind is VerdictKind.BLACKLISTED,
    Property.NOTRACE: lambda verdict: verdict.kind is VerdictKind.NOTRACE,
    Property.INIT: lambda verdict: verdict.kind is VerdictKind.DISCARDED_INIT,
    Property.STUB: lambda verdict: verdict.kind is VerdictKind.STUB,
    Property.UNKNOWN: lambda verdict: verdict.kind is VerdictKind.UNKNOWN,
    Property.FTRACE: lambda verdict: verdict.mechanism is Mechanism.FTRACE,
    Property.JUMP: lambda verdict: verdict.mechanism is Mechanism.JUMP,
    Property.INT3: lambda verdict: verdict.mechanism is Mechanism.INT3,
}
_ERRPTR_NOTE = "errptr: any pointer that is returned; none of them tells whether it may hold an errno"


def _no_pause() -> None:
    """Nobody else wants the processor."""


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """The functions that meet some terms.

    Attributes:
        places: Their places in the list, as a set of bits; None when a term cannot be answered.
        notes: What to know of the answer, or why there is none; one line each.
    """

    places: int | None
    notes: tuple[str, ...] = ()


class FunctionIndex:
    """The columns that terms ask about, over the names of a search index in its order.

    Modules are known at once; types and verdicts are added by a worker and can be asked for from then on.
    """

    def __init__(self, catalog: Catalog, order: Sequence[int]) -> None:
        """Take over the list.

        Args:
            catalog: The functions.
            order: ``SearchIndex.order``: positions in ``Catalog.rows``; places are positions in ``order``.
        """
        self._catalog = catalog
        self._order = order
        self._rows = array("I", (catalog.rows[position] for position in order))
        self._everything = (1 << len(order)) - 1
        self._of_module: dict[str | None, list[int]] = {}
        for place, row in enumerate(self._rows):
            self._of_module.setdefault(catalog.module(row), []).append(place)
        variants = [place for place, position in enumerate(order) if part_of(catalog.names[position]) is Part.VARIANT]
        self._variants = bit_sets.from_members([variants], len(order))
        self._types: TypeColumns | None = None
        self._verdicts: list[Verdict] = []
        self._verdict_of: bytes | None = None

    def add_types(self, pause: Callable[[], None] = _no_pause) -> None:
        """Answer terms of types from now on; a worker's job for a second or so.

        Args:
            pause: Called every few milliseconds, for the worker to make way.
        """
        self._types = TypeColumns(self._catalog, self._rows, pause)

    def add_verdicts(self, pause: Callable[[], None] = _no_pause) -> None:
        """Answer terms of verdicts from now on; otherwise as ``add_types``."""
        numbers: dict[tuple[VerdictKind, Mechanism | None], int] = {}
        verdicts: list[Verdict] = []
        column = bytearray()
        for place, row in enumerate(self._rows):
            if place % PIECE == 0:
                pause()
            verdict = self._catalog.verdict(self._catalog.symbol(row))
            alike = verdict.kind, verdict.mechanism
            if alike not in numbers:
                numbers[alike] = len(verdicts)
                verdicts.append(verdict)
            column.append(numbers[alike])
        self._verdicts, self._verdict_of = verdicts, bytes(column)

    def select(self, terms: Sequence[Term], armed: Collection[int] = ()) -> Selection:
        """The functions that meet all of the terms.

        Args:
            terms: At least one.
            armed: The rows of the catalog's table with a probe on them.
        """
        places = self._everything
        notes: list[str] = []
        for term in terms:
            if why_not := self._why_not(term):
                return Selection(None, (why_not,))
            met, asked = self._meeting(term, armed)
            places &= asked & ~met if term.negated else met
            notes += self._notes(term, met)
        if any(term.of_types for term in terms) and self._types is not None:
            left_out = (self._everything & ~self._types.known).bit_count()
            notes += [f"{left_out:,} functions without a known prototype are left out"] if left_out else []
        return Selection(places, tuple(dict.fromkeys(notes)))

    def _meeting(self, term: Term, armed: Collection[int]) -> tuple[int, int]:
        """The functions that meet a term, and all those of which it is known whether they do."""
        match term.condition:
            case InModule(pattern):
                return self._in_modules(pattern), self._everything
            case Named(pattern):
                return self._named(pattern), self._everything
            case Is(Property.VARIANT):
                return self._variants, self._everything
            case Is(Property.ARMED):
                return self._armed(armed), self._everything
            case Is(wanted):
                told = wanted is Property.UNKNOWN
                known = self._with_verdict(lambda verdict: told or verdict.kind is not VerdictKind.UNKNOWN)
                return self._with_verdict(_VERDICTS[wanted]), known
        assert self._types is not None
        match term.condition:
            case Takes(taken):
                met = self._types.taking(taken)
            case Returns(returned):
                met = self._types.returning(returned) if returned else self._types.returning_pointers()
            case Arguments(least, most):
                met = self._types.with_arguments(least, most)
        return met, self._types.known

    def _why_not(self, term: Term) -> str:
        """Why a term cannot be answered; "" when it can."""
        if term.of_verdicts and self._verdict_of is None:
            return "verdicts are still being worked out…"
        if term.of_types and self._types is None:
            return "types are still being indexed…"
        if term.of_types and self._types is not None and not self._types.known:
            kernel = self._catalog.btf(None)
            cause = "no prototypes are known" if kernel is None else getattr(kernel, "message", "there are none")
            return f"types cannot be asked for: {cause}"
        return ""

    def _notes(self, term: Term, met: int) -> list[str]:
        match term.condition:
            case Returns(None):
                return [_ERRPTR_NOTE]
            case Takes(pattern) | Returns(pattern) if not met and pattern is not None:
                return self._about_type(term, pattern.name)
            case Named(pattern) if not met:
                return [f"no function is named {pattern}"]
            case InModule(pattern) if not met:
                return [self._about_module(pattern)]
            case Is() if (
                any(verdict.kind is VerdictKind.KERNEL_CANNOT for verdict in self._verdicts) and term.of_verdicts
            ):
                return ["this kernel takes no probes at all: that is the verdict on its functions"]
        return []

    def _about_type(self, term: Term, name: str) -> list[str]:
        assert self._types is not None
        verb = term.text.lstrip("-!").partition(":")[0]
        others = self._types.spellings(name, taken=isinstance(term.condition, Takes))
        if others:
            offered = ", ".join(f'{verb}:"{other}"' for other in others)
            return [f"none; but there is {offered}"]
        return [f"no function {verb} a type named {name!r}"]

    def _about_module(self, pattern: str) -> str:
        known = sorted(module for module in self._of_module if module)
        beginning = [module for module in known if module.lower().startswith(pattern.rstrip("*"))]
        if not known:
            return "no module has functions here: all is in the kernel itself"
        return f"no loaded module is {pattern!r}" + (f"; there is {', '.join(beginning[:6])}" if beginning else "")

    def _in_modules(self, pattern: str) -> int:
        lists = [
            places
            for module, places in self._of_module.items()
            if module is not None and fnmatch.fnmatchcase(module.lower().replace("-", "_"), pattern)
        ]
        return bit_sets.from_members(lists, len(self._rows))

    def _named(self, pattern: str) -> int:
        matches = re.compile(fnmatch.translate(pattern)).match
        names = self._catalog.names
        places = [place for place, position in enumerate(self._order) if matches(names[position])]
        return bit_sets.from_members([places], len(self._rows))

    def _armed(self, rows: Collection[int]) -> int:
        places = [place for place, row in enumerate(self._rows) if row in rows] if rows else []
        return bit_sets.from_members([places], len(self._rows))

    def _with_verdict(self, wanted: Callable[[Verdict], bool]) -> int:
        assert self._verdict_of is not None
        return bit_sets.where(self._verdict_of, [n for n, verdict in enumerate(self._verdicts) if wanted(verdict)])
