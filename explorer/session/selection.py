"""Functions that a pattern or a query means, where a single probe could stand: ``tcp_*``, ``takes:"struct bio *"``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from explorer.errors import UsageError
from explorer.session.finding import asks_for_armed
from explorer.session.probe_spec import ALL_VARIANTS, ProbeKind, ProbeSpec
from explorer.session.session import Session
from symbols import bit_sets
from symbols.errors import Category, KexploreError
from symbols.query import TERM_NAMES, FunctionIndex, Query, parse
from symbols.symbol import Symbol

_OF_MODULE = re.compile(r"([A-Za-z_]\w*):([\w.]*[*?][\w.*?]*)")
_VARIANTS = re.compile(r"[\w.$:]+" + re.escape(ALL_VARIANTS))


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """Several functions, as the user names them.

    Attributes:
        text: As it was written.
        query: The same as a query, of terms alone.
        kind: Entry or return.
    """

    text: str
    query: str
    kind: ProbeKind

    @property
    def terms(self) -> Query:
        """The query, read."""
        return parse(self.query)

    @property
    def of_types(self) -> bool:
        """Whether prototypes must be loaded for it."""
        return any(term.of_types for term in self.terms.terms)


def read(text: str) -> Selection | None:
    """What a PROBE of the command line selects; None where it is a single probe, or one function with its variants.

    Raises:
        UsageError: It means no set of functions that is certain.
    """
    suffixed = (ProbeKind.RETURN, ProbeKind.CALL)
    kind = next((kind for kind in suffixed if text.endswith(kind.suffix)), ProbeKind.ENTRY)
    written = text.removesuffix(kind.suffix).strip()
    if _VARIANTS.fullmatch(written) and not any(letter in written[:-2] for letter in "*?"):
        return None
    of_module = _OF_MODULE.fullmatch(written)
    if of_module and of_module[1] not in TERM_NAMES:
        written = f"mod:{of_module[1]} {of_module[2]}"
    if not re.search(rf"[*?]|(?:^|\s)[-!]?(?:{'|'.join(TERM_NAMES)}):", written):
        return None
    query = parse(written)
    for problem in query.problems:
        raise UsageError(f"{text}: at letter {problem.at + 1}: {problem.message}", problem.hint)
    if query.words:
        word = query.words.split()[0]
        raise UsageError(
            f"{text}: {word!r} would find names by likeness, which is not certain enough to arm",
            f"write a pattern: '*{word}*'",
        )
    if asks_for_armed(written):
        raise UsageError(f"{text}: nothing is armed yet", "is:armed can be asked in the full-screen program")
    return Selection(text, written, kind)


def divide(texts: Sequence[str]) -> tuple[list[ProbeSpec], list[Selection]]:
    """What each PROBE of a command line is, each once.

    Raises:
        UsageError: One of them is neither a probe nor a selection.
    """
    specs: dict[ProbeSpec, None] = {}
    selections: dict[Selection, None] = {}
    for text in texts:
        selected = read(text)
        if selected is None:
            specs[ProbeSpec.parse(text)] = None
        else:
            selections[selected] = None
    return list(specs), list(selections)


def symbols(session: Session, selection: Selection) -> list[Symbol]:
    """The functions that are meant; a worker's job.

    Args:
        session: With names and lists loaded, and prototypes where the query asks about types.
        selection: What was read.

    Raises:
        KexploreError: What a term asks about is not known.
    """
    catalog = session.catalog
    assert catalog is not None
    functions = FunctionIndex(catalog, range(len(catalog.rows)))  # letters are not searched for: no order of likeness
    if selection.of_types:
        functions.add_types()
    if any(term.of_verdicts for term in selection.terms.terms):
        functions.add_verdicts()
    found = functions.select(selection.terms.terms)
    if found.places is None:
        raise KexploreError(found.notes[0], "", Category.KERNEL_CANNOT)
    return [catalog.symbol(catalog.rows[place]) for place in bit_sets.members(found.places)]
