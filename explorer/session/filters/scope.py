"""What the names in a filter mean at one probe: its values, the thread that hit it, constants."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from explorer.session.filters.constants import constants
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from symbols.c_types import CType, TypeKind

if TYPE_CHECKING:  # a probe has a filter
    from explorer.session.probe import Field

Tree = Any
"""A condition, number or text of the protocol (``explorer.agent.protocol``): JSON lists, integers, strings."""

LONGEST_COMM = 15
"""Bytes of a thread's name that the kernel keeps (TASK_COMM_LEN less the end)."""

_THREAD = CType("int", TypeKind.SIGNED, 4)
_RETURN = "return"


@dataclasses.dataclass(frozen=True, slots=True)
class Meaning:
    """What a name stands for.

    Attributes:
        type: Of its number; None for a thread's name.
        number: How the protocol names its number; None where it has none.
        text: How the protocol names its text; None where it has none.
        cause: Why it cannot be asked for; "" when it can.
        constant: Its value, when it is a constant.
    """

    name: str
    type: CType | None = None
    number: Tree = None
    text: Tree = None
    cause: str = ""
    constant: int | None = None


class Scope:
    """The names of one probe.

    Args:
        spec: The probe.
        fields: What it reads.
        machine: Its kernel's architecture.
    """

    def __init__(self, spec: ProbeSpec, fields: Sequence[Field], machine: str) -> None:
        self.spec = spec
        self.values = {meaning.name: meaning for meaning in _values(fields)}
        self._constants = constants(machine)
        for field in fields:
            self._constants.update(field.type.enumerators)
        self._thread = {
            "comm": Meaning("comm", text=["comm"]),
            **{name: Meaning(name, _THREAD, number=[name]) for name in ("pid", "tid", "cpu")},
        }

    def find(self, name: str) -> Meaning | None:
        """What a name means; None when nothing. ``$pid`` is the thread's even where an argument is called ``pid``."""
        if name.startswith("$"):
            return self._thread.get(name[1:])
        found = self.values.get(name) or self._thread.get(name)
        if found is None and name in self._constants:
            return Meaning(name, constant=self._constants[name])
        return found

    def names(self) -> list[str]:
        """What a person may ask of a hit here, the probe's values first."""
        return [*self.values, *(name for name in self._thread if name not in self.values)]

    def completions(self, beginning: str) -> list[str]:
        """Names that begin so, values before constants."""
        known: Iterable[str] = [*self.names(), *sorted(self._constants)]
        return [name for name in known if name.startswith(beginning)]

    def why_not(self, name: str) -> tuple[str, str]:
        """Why a name means nothing here, and what to do."""
        root = name.replace(".", "->").split("->")[0].split("[")[0]
        listed = ", ".join(self.names())
        if root != name and root in self.values:
            return (
                f"{name} is not read at {self.spec}, so that a filter cannot ask for it",
                f"a filter can ask for what the probe reads: {listed}",
            )
        if name == _RETURN and self.spec.kind is ProbeKind.ENTRY:
            return f"{self.spec} has no return value: it fires at the entry", f"probe {self.spec.symbol}%return"
        near = difflib.get_close_matches(name, [*self.names(), *self._constants], n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        if self.spec.kind is ProbeKind.RETURN and not near:
            hint = "at a return the arguments are gone; "
        return f"{self.spec} has no value called {name}", f"{hint}there are: {listed}"


def _values(fields: Sequence[Field]) -> Iterable[Meaning]:
    position = 0
    for field in fields:
        first = position
        position += field.reads
        if not field.reads:
            yield Meaning(field.name, field.type, cause=f"{field.name} cannot be read: {field.cause}")
        elif field.string_at is not None:
            yield Meaning(field.name, field.type, ["value", first], ["text", first + field.string_at])
        elif field.reads > 1 or field.type.kind in (TypeKind.AGGREGATE, TypeKind.FLOAT, TypeKind.VOID):
            yield Meaning(field.name, field.type, cause=f"{field.name} is a {field.type.text}: no number, no text")
        else:
            yield Meaning(field.name, field.type, ["value", first])
