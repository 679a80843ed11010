"""Probes as requests describe them, checked part by part, and the definitions that the kernel gets for them.

Nothing of a request reaches the kernel as it came: names must be identifiers, numbers are numbers, registers and types
come from a list. Everything else in the text is written here.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from explorer.agent import aggregation
from explorer.agent.aggregation import Aggregation
from explorer.agent.event_format import ValueField
from explorer.agent.failure import RequestError
from explorer.agent.number_types import SIZES
from explorer.agent.protocol import Code, Message

REGISTERS: Dict[str, Tuple[str, ...]] = {
    "x86_64": (
        "r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8",
        "ax", "cx", "dx", "si", "di", "orig_ax", "ip", "cs", "flags", "sp", "ss",
    ),
    "aarch64": (*(f"x{number}" for number in range(31)), "sp", "pc", "pstate"),
    "riscv64": (
        "epc", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", *(f"a{number}" for number in range(8)),
        *(f"s{number}" for number in range(2, 12)), "t3", "t4", "t5", "t6", "status", "badaddr", "cause", "orig_a0",
    ),
    "s390x": tuple(f"r{number}" for number in range(16)),
    "ppc64le": (
        *(f"gpr{number}" for number in range(32)), "nip", "msr", "ctr", "link", "xer", "ccr", "softe", "trap", "dar",
        "dsisr",
    ),
}  # fmt: skip
"""General registers by machine, in the order in which the kernel saves them (``struct pt_regs``)."""

RESULTS = {"x86_64": "ax", "aarch64": "x0", "riscv64": "a0"}
"""The register behind ``$retval`` by machine, where it is known."""
MECHANISMS = ("auto", "kprobe", "fprobe")
ENGINES = ("auto", "tracefs", "bpf")
STACKS = ("kernel", "user")
TEXTS = ("string", "ustring")
"""The types whose values are texts."""
_SYMBOL = re.compile(r"[A-Za-z_.][A-Za-z0-9_.]{0,510}")  # KSYM_NAME_LEN is 512 since 6.1
_MODULE = re.compile(r"[A-Za-z0-9_]{1,55}")  # MODULE_NAME_LEN
_MOST_STACK_SLOTS = 256
_MOST_MAXACTIVE = 4096  # KRETPROBE_MAXACTIVE_MAX

# kernel/trace/trace_probe.h: MAX_TRACE_ARGS, MAX_ARGSTR_LEN; trace_dynevent.c reads lines of up to 4096 bytes
_MOST_ARGUMENTS = 128
_LONGEST_EXPRESSION = 63
_LONGEST_DEFINITION = 4094
_LONGEST_EVENT_NAME = 63


class Value(NamedTuple):
    """One thing to read at each hit.

    Attributes:
        source: A fetch argument of tracefs: ``%di``, ``$stack1``, ``$retval``.
        dereference: Byte offsets followed in turn from there.
        type: One of the protocol's types.
    """

    source: str
    dereference: Tuple[int, ...]
    type: str

    @property
    def expression(self) -> str:
        """As the kernel takes it."""
        return f"{_follow(self.source, self.dereference)}:{self.type}"

    @property
    def guard(self) -> Optional[str]:
        """A text read where the value's last byte lies, which tells a fault; None where one is not needed.

        Where reading memory faults, the kernel marks a text as faulted, but leaves a number in the record as it was:
        bytes of some older record (seen on 6.12). The text ends at the next zero byte, so it costs little.
        """
        if not self.dereference or self.type in TEXTS:
            return None
        last = self.dereference[-1] + SIZES[self.type] - 1
        return f"{_follow(self.source, (*self.dereference[:-1], last))}:string"


class ProbeRequest(NamedTuple):
    """A probe that is well-formed; whether the kernel takes it is another matter.

    Attributes:
        symbol: The function; "" when the probe is placed by address.
        module: The module that the symbol is in; "" for the kernel itself or any.
        offset: Bytes from the symbol.
        address: Where, when it is placed by address; else None.
        returns: Whether it fires at the function's return.
        values: What to read, in order.
        registers: General registers to record with each hit; empty for none.
        maxactive: Concurrent calls that a return probe can follow; 0 leaves it to the kernel.
        mechanism: One of ``MECHANISMS``; "fprobe" has its values in an fprobe's terms, see ``fprobe``.
        engine: One of ``ENGINES``.
        stacks: Which of ``STACKS`` to record with each hit.
        aggregate: What to count in place of recording anything; None: hits are recorded.
    """

    symbol: str
    module: str
    offset: int
    address: Optional[int]
    returns: bool
    values: Tuple[Value, ...]
    registers: Tuple[str, ...]
    maxactive: int
    mechanism: str = "kprobe"
    engine: str = "tracefs"
    stacks: Tuple[str, ...] = ()
    aggregate: Optional[Aggregation] = None

    @property
    def types(self) -> List[str]:
        """Of its values."""
        return [value.type for value in self.values]

    @property
    def place(self) -> str:
        """Symbol and offset as the kernel takes them; not for a probe placed by address."""
        module = f"{self.module}:" if self.module else ""
        offset = f"+{self.offset}" if self.offset else ""
        return f"{module}{self.symbol}{offset}"

    @property
    def value_fields(self) -> List[ValueField]:
        """The fields of an event that carry the values."""
        return [
            ValueField(f"v{number}", None if value.guard is None else f"g{number}")
            for number, value in enumerate(self.values)
        ]

    @property
    def register_fields(self) -> List[str]:
        """The fields of an event that carry the registers."""
        return [f"r{number}" for number in range(len(self.registers))]

    def definition(self, group: str, event: str, place: str) -> str:
        """The line that defines it.

        Raises:
            RequestError: It is over one of the kernel's limits.
        """
        if self.mechanism == "fprobe":
            kind, place = f"f{self.maxactive or ''}", f"{place}%return" if self.returns else place
        else:
            kind = f"r{self.maxactive or ''}" if self.returns else "p"
        arguments = ["comm=$comm"]
        for number, value in enumerate(self.values):
            arguments.append(f"v{number}={value.expression}")
            if value.guard is not None:
                arguments.append(f"g{number}={value.guard}")
        arguments += [f"r{number}=%{name}:u64" for number, name in enumerate(self.registers)]
        line = f"{kind}:{group}/{event} {place} {' '.join(arguments)}"
        if len(arguments) > _MOST_ARGUMENTS or len(line) > _LONGEST_DEFINITION:
            raise RequestError(Code.BAD_REQUEST, "this is more than one probe can read", "pick fewer values")
        return line


def event_name(prefix: str, symbol: str) -> str:
    """An event name that begins with ``prefix`` and reminds of the symbol: a C identifier, as the kernel asks."""
    return f"{prefix}_{re.sub('[^A-Za-z0-9_]', '_', symbol)}"[:_LONGEST_EVENT_NAME]


def parse(probe: object, machine: str) -> ProbeRequest:
    """Check the ``probe`` member of an ``arm`` request.

    Args:
        probe: Whatever the request has there.
        machine: The architecture as ``uname -m`` prints it.

    Raises:
        RequestError: It is not a probe, or not one that can be put to this kernel.
    """
    members = _members(probe, "a probe")
    symbol, module, offset, address = _parse_place(members)
    kind = members.pop("kind", None)
    if kind not in ("entry", "return"):
        raise _bad(f"a probe's kind is entry or return, not {kind!r}")
    returns = kind == "return"
    if returns and offset:
        raise _bad("a return probe belongs to a whole function, not to an offset in it")
    maxactive = _number(members.pop("maxactive", 0), "maxactive", 0, _MOST_MAXACTIVE)
    if maxactive and not returns:
        raise _bad("maxactive is for return probes")
    known = REGISTERS.get(machine, ())
    listed = members.pop("values", [])
    if not isinstance(listed, list):
        raise _bad("a probe's values are a list")
    values = tuple(_parse_value(value, known, returns) for value in listed)
    wants_registers = members.pop("registers", False)
    if not isinstance(wants_registers, bool):
        raise _bad("a probe's registers is true or false")
    if wants_registers and not known:
        raise RequestError(Code.KERNEL_CANNOT, f"the registers of {machine} are not known to kexplore")
    mechanism = members.pop("mechanism", "auto")
    if mechanism not in MECHANISMS:
        raise _bad(f"a probe's mechanism is {', '.join(MECHANISMS)}, not {mechanism!r}")
    engine = members.pop("engine", "auto")
    if engine not in ENGINES:
        raise _bad(f"a probe's engine is {', '.join(ENGINES)}, not {engine!r}")
    stacks = members.pop("stacks", [])
    if not isinstance(stacks, list) or any(stack not in STACKS for stack in stacks):
        raise _bad(f"a probe's stacks are of {' and '.join(STACKS)}")
    aggregate = aggregation.parse(members.pop("aggregate", None), [value.type for value in values], returns)
    if members:
        raise _bad(f"a probe has no {', '.join(map(repr, members))}")
    request = ProbeRequest(
        symbol, module, offset, address, returns, values, known if wants_registers else (), maxactive, mechanism,
        engine, tuple(stack for stack in STACKS if stack in stacks), aggregate,
    )  # fmt: skip
    request.definition("", "", "")  # over the limits even so: say it before anything is touched
    return request


def _parse_place(members: Dict[str, Any]) -> Tuple[str, str, int, Optional[int]]:
    if "address" in members:
        address = _number(members.pop("address"), "address", 1, (1 << 64) - 1)
        if any(members.pop(name, empty) != empty for name, empty in (("symbol", ""), ("module", ""), ("offset", 0))):
            raise _bad("a probe is placed by symbol or by address, not by both")
        return "", "", 0, address
    symbol, module = parse_function([members.pop("symbol", None), members.pop("module", "")])
    return symbol, module, _number(members.pop("offset", 0), "offset", 0, (1 << 31) - 1), None


def parse_function(function: object) -> Tuple[str, str]:
    """Check a list of a symbol's name and its module's, which is "" for the kernel itself.

    Raises:
        RequestError: It is not that.
    """
    if not isinstance(function, list) or len(function) != 2:
        raise _bad("a function is a list of a symbol's name and a module's")
    symbol, module = function
    if not isinstance(symbol, str) or not _SYMBOL.fullmatch(symbol):
        raise _bad(f"{symbol!r} is no symbol's name")
    if not isinstance(module, str) or (module and not _MODULE.fullmatch(module)):
        raise _bad(f"{module!r} is no module's name")
    return symbol, module


def _parse_value(value: object, registers: Sequence[str], returns: bool) -> Value:
    members = _members(value, "a value")
    sources = [name for name in ("register", "stack", "return") if name in members]
    if len(sources) != 1:
        raise _bad("a value is read from a register, the stack or the return value")
    what = members.pop(sources[0])
    if sources[0] == "register":
        if not isinstance(what, str) or what not in registers:
            raise _bad(f"{what!r} is no register of this machine")
        source = f"%{what}"
    elif sources[0] == "stack":
        source = f"$stack{_number(what, 'stack slot', 0, _MOST_STACK_SLOTS - 1)}"
    else:
        if what is not True or not returns:
            raise _bad("the return value is there at a function's return only")
        source = "$retval"
    offsets = members.pop("dereference", [])
    if not isinstance(offsets, list):
        raise _bad("a value's dereference is a list of offsets")
    dereference = tuple(_number(offset, "offset", -(1 << 31), (1 << 31) - 9) for offset in offsets)
    kind = members.pop("type", None)
    if not isinstance(kind, str) or (kind not in SIZES and kind not in TEXTS):
        raise _bad(f"{kind!r} is no type of a value")
    if kind in TEXTS and not dereference:
        raise _bad("a string is read from memory: it needs a dereference")
    if members:
        raise _bad(f"a value has no {', '.join(map(repr, members))}")
    parsed = Value(source, dereference, kind)
    if max(len(parsed.expression), len(parsed.guard or "")) > _LONGEST_EXPRESSION:
        raise RequestError(Code.BAD_REQUEST, "a value lies behind more pointers than the kernel follows")
    return parsed


def _follow(source: str, offsets: Sequence[int]) -> str:
    for offset in offsets:
        source = f"{offset:+d}({source})"
    return source


def _members(thing: object, what: str) -> Message:
    if not isinstance(thing, dict):
        raise _bad(f"{what} is an object")
    return dict(thing)


def _number(value: object, what: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _bad(f"{value!r} is no {what}")
    return value


def _bad(message: str) -> RequestError:
    return RequestError(Code.BAD_REQUEST, message)
