"""A probe that a session has armed or tried to arm: what it reads at each hit, how it stands, what it counted."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from explorer.session.filters.filter import Filter
from explorer.session.guard import Guarded
from explorer.session.options import Options
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from symbols.abi.conventions import Convention
from symbols.c_types import CType, TypeKind
from symbols.errors import KexploreError
from symbols.location import InnerRegister, Memory, Reference, Register, Registers, Split, Stack
from symbols.prototype import Parameter, Prototype, Trust

if TYPE_CHECKING:  # calls are made of probes, aggregates named after their values
    from explorer.session.aggregates import Aggregate
    from explorer.session.calls import Calls


RETURNED = "return"
"""The name of the field that a function returns: no parameter can be called so in C."""


class ProbeState(enum.Enum):
    """Where a probe is in its life."""

    ARMING = "arming"
    ARMED = "armed"
    DISARMING = "disarming"
    DISARMED = "disarmed"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True, slots=True)
class Counters:
    """Exact totals since a probe was armed. hits = shown + not_shown + lost + filtered."""

    hits: int = 0
    missed: int = 0
    lost: int = 0
    filtered: int = 0
    not_shown: int = 0

    def __add__(self, other: Counters) -> Counters:
        return Counters(
            self.hits + other.hits, self.missed + other.missed, self.lost + other.lost, self.filtered + other.filtered,
            self.not_shown + other.not_shown,
        )  # fmt: skip

    def to_json(self) -> dict[str, int]:
        """One member of the summary line of ``trace --json``."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One named value of a probe's events.

    Attributes:
        name: The parameter's name, ``argN`` where it has none, or ``return``.
        type: Its C type.
        reads: How many raw values of an event belong to it: 1, or more for a value in several registers.
        string_at: Which of them (counted from the field's first) is the text it points to, or None.
        cause: Why it cannot be read; then ``reads`` is 0.
        by_reference: Whether what is read is the address of the value.
    """

    name: str
    type: CType
    reads: int
    string_at: int | None = None
    cause: str = ""
    by_reference: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Alarm:
    """Entries and returns of a function do not balance: see ``explorer.session.balance``.

    Attributes:
        what: ``12 returns missed``.
        why: What that comes of.
        maxactive: What to arm the return with instead.
    """

    what: str
    why: str
    maxactive: int

    @property
    def text(self) -> str:
        """What and why."""
        return f"{self.what}: {self.why}"


@dataclasses.dataclass(slots=True, eq=False)
class Probe:
    """One probe of a session. Changed by the session only; everybody else reads.

    Attributes:
        offset: Bytes from the start of its function, 0 for a probe at its entry or return, however it is written.
        rate: Hits per second over the last second or so.
        filter: What its hits must satisfy to be recorded; None: every hit is.
        guard: The guard's last word: what it costs, whether it is held back; None before the first.
        group: What it was armed with, as part of many; "" for one by itself.
        maxactive: Of a return, how many calls may be under way at once; 0: the kernel decides.
        error: Why it could not be armed, when ``state`` is FAILED.
        number: The agent's number for it; None while it is not armed, and for a call, which is two probes to the agent.
        alarm: Why its returns cannot be relied on to be all; None while they can. Of a call's parts, the call has it.
        reads: What is read at each hit, as the protocol has it.
        calls: Of a call, its two probes and what they saw; else None.
        part_of: Of one of the two probes of a call, the call's; else None.
        aggregate: What it counts in the kernel; None: its hits are recorded.
        options: How it was asked for; ``filter`` may have changed since. Those of a call's parts mean nothing.
        mechanism: "kprobe" or "fprobe", once it is armed. What an fprobe missed nobody counts.
        engine: "tracefs" or "bpf", once it is armed.
        mechanism_cause: Why this one, or this engine.
        missed_is_known: Whether the kernel counts what it misses; of a call each part says so.
    """

    spec: ProbeSpec
    prototype: Prototype | None
    fields: tuple[Field, ...]
    offset: int = 0
    state: ProbeState = ProbeState.ARMING
    counters: Counters = Counters()
    rate: float = 0.0
    number: int | None = None
    error: KexploreError | None = None
    filter: Filter | None = None
    guard: Guarded | None = None
    group: str = ""
    options: Options = dataclasses.field(default_factory=Options)
    mechanism: str = ""
    engine: str = ""
    mechanism_cause: str = ""
    missed_is_known: bool = True
    maxactive: int = 0
    alarm: Alarm | None = None
    reads: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    calls: Calls | None = None
    part_of: Probe | None = None
    aggregate: Aggregate | None = None

    @property
    def parts(self) -> tuple[Probe, ...]:
        """What it is to the agent: itself, or the two probes of a call."""
        return (self,) if self.calls is None else self.calls.parts

    @property
    def all_missed_is_known(self) -> bool:
        """Whether its counters tell what was missed: else 0 means nothing."""
        return all(part.missed_is_known for part in self.parts)


_RAW = CType("unsigned long", TypeKind.UNSIGNED, 8)


def plan_reads(
    spec: ProbeSpec,
    prototype: Prototype | None,
    convention: Convention | None = None,
    offset: int = 0,
    inlined: Sequence[Parameter] = (),
) -> tuple[tuple[Field, ...], list[dict[str, Any]]]:
    """What to read at each hit: the fields, and the ``values`` member of the protocol's probe.

    Inside a function nothing is read by an argument's name: the code has used the registers for something else by then.
    What is read there is the arguments of what was inlined at this very place, if debug information knows that, or the
    registers themselves, by theirs.

    Args:
        spec: The probe.
        prototype: Of its function; None outside all functions.
        convention: Whose registers to read where no names are known.
        offset: Bytes from the function's start, where the address of the probe tells it.
        inlined: Inside a function, the arguments of what was inlined there.
    """
    fields: list[Field] = []
    values: list[dict[str, Any]] = []
    inside = bool(offset or spec.offset)
    if spec.kind is ProbeKind.RETURN:
        if prototype is None or prototype.trust is Trust.NONE:
            fields.append(Field(RETURNED, _RAW, 1))
            values.append({"return": True, "dereference": [], "type": "u64"})
        elif prototype.return_type.kind is not TypeKind.VOID:
            field, reads = _plan_return(prototype)
            fields.append(field)
            values.extend(reads)
    elif not inlined and (inside or prototype is None or prototype.trust is Trust.NONE):
        for register in _raw_registers(convention, inside=inside):
            fields.append(Field(register, _RAW, 1))
            values.append({"register": register, "dereference": [], "type": "u64"})
    else:
        parameters = inlined or (prototype.parameters if prototype else ())
        for position, parameter in enumerate(parameters, start=1):
            name = parameter.name or f"arg{position}"
            field, reads = _plan_value(name, parameter.type, parameter.location)
            fields.append(field)
            values.extend(reads)
    return tuple(fields), values


def _raw_registers(convention: Convention | None, *, inside: bool) -> Sequence[str]:
    """Those that carry arguments, and inside a function also those that carry what a call returned."""
    if convention is None:
        return ()
    return tuple(dict.fromkeys((*convention.results[:1], *convention.arguments) if inside else convention.arguments))


def _plan_return(prototype: Prototype) -> tuple[Field, list[dict[str, Any]]]:
    location = prototype.return_location
    if isinstance(location, Register):
        return _typed(RETURNED, prototype.return_type, {"return": True})
    if location is None:
        return Field(RETURNED, prototype.return_type, 0, cause="returns nothing"), []
    return _plan_value(RETURNED, prototype.return_type, location)


def _plan_value(name: str, c_type: CType, location: object) -> tuple[Field, list[dict[str, Any]]]:
    match location:
        case Register(register=register):
            return _typed(name, c_type, {"register": register})
        case Stack(slot=slot, size=size) if size <= 8:
            return _typed(name, c_type, {"stack": slot})
        case Stack():
            reads = _stack_words(location)
            return Field(name, c_type, len(reads)), reads
        case Registers(registers=registers):
            reads = _register_words(registers)
            return Field(name, c_type, len(reads)), reads
        case Split(registers=registers, stack=stack):
            reads = _register_words(registers.registers) + _stack_words(stack)
            return Field(name, c_type, len(reads)), reads
        case Reference(pointer=pointer):
            base = {"register": pointer.register} if isinstance(pointer, Register) else {"stack": pointer.slot}
            return Field(name, c_type, 1, by_reference=True), [{**base, "dereference": [], "type": "u64"}]
        case Memory(register=register, offset=offset, size=size) if size <= 8:
            return _typed(name, c_type, {"register": register}, inside=(offset,))
        case Memory(register=register, offset=offset, size=size):
            starts = range(offset, offset + size, 8)
            reads = [{"register": register, "dereference": [start], "type": "u64"} for start in starts]
            return Field(name, c_type, len(reads)), reads
        case InnerRegister(pointer=pointer, offset=offset, size=size):
            return _typed(name, c_type, {"register": pointer.register}, inside=(offset,), most=size)
        case _:
            return Field(name, c_type, 0, cause=getattr(location, "cause", "location not known")), []


def _register_words(registers: Sequence[str]) -> list[dict[str, Any]]:
    return [{"register": register, "dereference": [], "type": "u64"} for register in registers]


def _stack_words(stack: Stack) -> list[dict[str, Any]]:
    slots = range(stack.slot, stack.slot + (stack.size + 7) // 8)
    return [{"stack": slot, "dereference": [], "type": "u64"} for slot in slots]


def _typed(
    name: str, c_type: CType, source: dict[str, Any], *, inside: tuple[int, ...] = (), most: int = 8
) -> tuple[Field, list[dict[str, Any]]]:
    """One value cut to its type, and the text behind it when it is a ``char *``.

    Args:
        name: Of the field.
        c_type: Its type.
        source: A register or another place that the protocol names.
        inside: The offsets to follow from there to the value itself.
        most: How many bytes belong to the value, where that may be less than its type has.
    """
    size = c_type.size if c_type.size in (1, 2, 4, 8) else 8
    signed = c_type.kind in (TypeKind.SIGNED, TypeKind.ENUM) and size <= most
    reads = [{**source, "dereference": [*inside], "type": f"{'s' if signed else 'u'}{min(size, most) * 8}"}]
    if not c_type.is_string:
        return Field(name, c_type, 1), reads
    reads.append({**source, "dereference": [*inside, 0], "type": "string"})
    return Field(name, c_type, 2, string_at=1), reads
