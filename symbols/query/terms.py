"""What a query says, once it has been read."""

from __future__ import annotations

import dataclasses
import enum

from symbols.query.type_names import TypePattern


class Property(enum.Enum):
    """What ``is:`` can ask, and what it means."""

    PROBEABLE = ("probeable", "can be probed by its name")
    DUPLICATE = ("duplicate", "shares its name with others: probed by address")
    REFUSED = ("refused", "cannot be probed, for whatever cause")
    BLACKLISTED = ("blacklisted", "kprobes must not touch it")
    NOTRACE = ("notrace", "refused: ftrace has no call site in it")
    INIT = ("init", "ran while the kernel started, gone since")
    STUB = ("stub", "code that the kernel made at run time")
    UNKNOWN = ("unknown", "the lists that would tell could not be read")
    FTRACE = ("ftrace", "a probe would be a call that is there already")
    JUMP = ("jump", "a probe would be a breakpoint that becomes a jump")
    INT3 = ("int3", "a probe would be a breakpoint")
    VARIANT = ("variant", "a clone by the compiler: .isra, .constprop")
    ARMED = ("armed", "you have a probe on it")

    def __init__(self, word: str, meaning: str) -> None:
        self.word = word
        self.meaning = meaning


@dataclasses.dataclass(frozen=True, slots=True)
class Is:
    """``is:``."""

    property: Property


@dataclasses.dataclass(frozen=True, slots=True)
class InModule:
    """``mod:``; a pattern of ``fnmatch``, lower-case, with ``_`` where modprobe also takes ``-``."""

    pattern: str


@dataclasses.dataclass(frozen=True, slots=True)
class Named:
    """A word with ``*`` or ``?`` in it: a pattern of ``fnmatch`` for the whole name, letter case included."""

    pattern: str


@dataclasses.dataclass(frozen=True, slots=True)
class Takes:
    """``takes:``."""

    type: TypePattern


@dataclasses.dataclass(frozen=True, slots=True)
class Returns:
    """``returns:``; None for ``errptr``, any pointer."""

    type: TypePattern | None


@dataclasses.dataclass(frozen=True, slots=True)
class Arguments:
    """``args:``; from ``least`` to ``most`` of them, both included."""

    least: int
    most: int


Condition = Is | InModule | Named | Takes | Returns | Arguments


@dataclasses.dataclass(frozen=True, slots=True)
class Term:
    """A condition as it stands in the query.

    Attributes:
        condition: What is asked.
        text: As it was written.
        negated: Whether the opposite is asked.
    """

    condition: Condition
    text: str
    negated: bool = False

    @property
    def of_types(self) -> bool:
        """Whether prototypes answer it."""
        return isinstance(self.condition, Takes | Returns | Arguments)

    @property
    def of_verdicts(self) -> bool:
        """Whether verdicts answer it."""
        return isinstance(self.condition, Is) and self.condition.property not in (Property.VARIANT, Property.ARMED)


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """What could not be understood of a query.

    Attributes:
        at: The position of the first letter that is wrong, or of the end where something is missing.
        message: What is wrong with it.
        hint: What would be right.
        unfinished: Whether what is there could be the beginning of something right.
    """

    at: int
    message: str
    hint: str
    unfinished: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """A query, taken apart.

    Attributes:
        words: What names are searched for, for ``SearchIndex``; "" when only terms are given.
        terms: What could be understood.
        problems: What could not, in the order of the text; these terms are left out of ``terms``.
    """

    words: str
    terms: tuple[Term, ...] = ()
    problems: tuple[Problem, ...] = ()

    def asks(self, wanted: Property) -> bool:
        """Whether a term asks for this property, or for its opposite."""
        return any(term.condition == Is(wanted) for term in self.terms)
