"""How the bpf program's maps and records are laid out: the same numbers for the compiler and for Python."""

from __future__ import annotations

import enum
import mmap
import struct
from typing import Dict, List, NamedTuple, Sequence

from explorer.agent import aggregation
from explorer.agent.number_types import SIZES
from explorer.agent.probe_definition import REGISTERS, RESULTS, ProbeRequest, Value

MOST_STEPS = 8
"""Pointers that a value may lie behind."""
MOST_FETCHES = 24
"""Values of a probe."""
MOST_OPERATIONS = 64
"""Of a filter. The program keeps less than it, a power of two."""
MOST_PROBES = 1024
"""At once."""
LONGEST_TEXT = 1024
"""Bytes, with the zero at the end; what is longer is cut."""
_DATA_SIZE = 8192
_RECORD_SIZE = 16384
_STACK_SIZE = 127 * 8
"""Bytes of each stack: PERF_MAX_STACK_DEPTH addresses."""
_RING_PAGES = 1024
RING_SIZE = _RING_PAGES * mmap.PAGESIZE
"""Bytes of the ring buffer."""

_POPPED = {"x86_64": 8}
"""How much higher the stack pointer is at a return."""
_STACK_POINTERS = {"x86_64": "sp", "aarch64": "sp", "riscv64": "sp"}
MACHINES = tuple(_STACK_POINTERS)
"""The architectures whose registers stand in memory as ``REGISTERS`` lists them."""

COUNT = struct.Struct("=QQQQ")
"""Hits, filtered, lost and unpaired of one probe on one processor."""
MOST_CELLS = 16384
"""Of all probes together."""
_MOST_CALLS = 16384
"""Calls under way at once whose time is measured."""
CONFIGURATION = struct.Struct("=QQQQ")
"""Own process, whether there is a focus, and where preempt counts lie."""
HEAD = struct.Struct("=QQIIIIHHHH16s")
"""Of a record: time, faults, probe, tid, pid, preempt_count, cpu, depths of the stacks, nothing, comm."""
_SETTING = struct.Struct("=IHHBBBBBBBBII")
_FETCH = struct.Struct(f"=BBBBI{MOST_STEPS}i")
_OPERATION = struct.Struct("=BBBBBBBBQ")
FOCUSED = b"\1"


class Flag(enum.IntFlag):
    """What a probe's records hold besides its values; as in the program."""

    ROWS = 1
    REGISTERS = 2
    KERNEL_STACK = 4
    USER_STACK = 8
    CALL_BEGINS = 16
    CALL_ENDS = 32
    CELLS = 64


class Operate(enum.IntEnum):
    """The operations of filters; as in the program."""

    LOAD_VALUE = 0
    LOAD_WORD = 1
    LOAD_CONSTANT = 2
    KEEP = 3
    AND = 4
    OR = 5
    XOR = 6
    ADD = 7
    SUBTRACT = 8
    MULTIPLY = 9
    SHIFT_LEFT = 10
    SHIFT_RIGHT = 11
    SHIFT_RIGHT_SIGNED = 12
    EQUAL = 13
    LESS = 14
    LESS_SIGNED = 15
    SET_BITS = 16


class Word(enum.IntEnum):
    """What ``LOAD_WORD`` can load; as in the program."""

    TID = 0
    PID = 1
    CPU = 2
    COMM_BEGIN = 3
    COMM_END = 4


ACCEPT, REJECT = 255, 254
"""Where a filter ends."""


class Operation(NamedTuple):
    """One step of a filter; members as in the program."""

    code: Operate
    argument: int = 0
    kept: int = 0
    then: int = 0
    otherwise: int = 0
    unknown: int = REJECT
    shift: int = 0
    signed: int = 0
    constant: int = 0


def definitions(machine: str, child_pid_at: int) -> Dict[str, int]:
    """What the program is compiled with.

    Args:
        machine: The architecture.
        child_pid_at: Where the tracepoint of forks has the child, in bytes.
    """
    registers = REGISTERS[machine]
    return {
        "CHILD_PID_AT": child_pid_at, "MOST_STEPS": MOST_STEPS, "MOST_FETCHES": MOST_FETCHES,
        "MOST_OPERATIONS": MOST_OPERATIONS, "MOST_PROBES": MOST_PROBES, "LONGEST_TEXT": LONGEST_TEXT,
        "DATA_SIZE": _DATA_SIZE, "RECORD_SIZE": _RECORD_SIZE, "STACK_SIZE": _STACK_SIZE, "RING_PAGES": _RING_PAGES,
        "MOST_CELLS": MOST_CELLS, "MOST_CALLS": _MOST_CALLS, "REGISTER_COUNT": len(registers),
        "STACK_POINTER": registers.index(_STACK_POINTERS[machine]),
    }  # fmt: skip


def refusal(request: ProbeRequest) -> str:
    """Why the program cannot read what a probe wants; "" where it can."""
    texts = sum(value.type not in SIZES for value in request.values)
    fixed = 8 * (len(request.values) + len(request.registers))
    if len(request.values) > MOST_FETCHES:
        return f"the bpf engine reads {MOST_FETCHES} values of a probe at most"
    if any(len(value.dereference) > MOST_STEPS for value in request.values):
        return f"the bpf engine follows {MOST_STEPS} pointers at most"
    if texts > (_DATA_SIZE - fixed) // LONGEST_TEXT:
        return f"the bpf engine reads {(_DATA_SIZE - fixed) // LONGEST_TEXT} texts of a probe at most"
    if request.aggregate is not None and request.stacks:
        return "what is only counted has no stacks"
    if request.maxactive:
        return "the bpf engine leaves the number of concurrent returns (maxactive) to the kernel"
    return ""


def flags(request: ProbeRequest) -> Flag:
    """What becomes of the hits of a probe."""
    if request.aggregate is not None:
        return {"begins": Flag.CALL_BEGINS, "ends": Flag.CALL_ENDS | Flag.CELLS}.get(request.aggregate.role, Flag.CELLS)
    registers = Flag.REGISTERS if request.registers else Flag(0)
    kernel = Flag.KERNEL_STACK if "kernel" in request.stacks else Flag(0)
    return Flag.ROWS | registers | kernel | (Flag.USER_STACK if "user" in request.stacks else Flag(0))


def setting(request: ProbeRequest, machine: str, operations: Sequence[Operation], call: int = 0) -> bytes:
    """What stands in the map ``settings`` for a probe that ``refusal`` does not refuse.

    Args:
        request: The probe.
        machine: The architecture.
        operations: Its filter's.
        call: What both probes of a call have in common.
    """
    fetches = [_fetch(value, machine) for value in request.values]
    empty = bytes(_FETCH.size) * (MOST_FETCHES - len(fetches))
    packed = [_OPERATION.pack(*operation) for operation in operations]
    counted = aggregation.packed(request.aggregate, request.types) if request.aggregate is not None else (0,) * 8
    popped = _POPPED.get(machine, 0) if request.returns else 0
    head = _SETTING.pack(flags(request), len(fetches), len(packed), *counted, call, popped)
    return b"".join([head, *fetches, empty, _padded(packed)])


def nothing() -> bytes:
    """What stands there for a probe that is only to be counted."""
    return bytes(_SETTING.size + _FETCH.size * MOST_FETCHES + _OPERATION.size * MOST_OPERATIONS)


def time_of(record: bytes) -> int:
    """When it was written, in nanoseconds of the monotonic clock."""
    time: int = HEAD.unpack_from(record)[0]
    return time


def _padded(operations: List[bytes]) -> bytes:
    return b"".join(operations).ljust(_OPERATION.size * MOST_OPERATIONS, b"\0")


def _fetch(value: Value, machine: str) -> bytes:
    in_stack = value.source.startswith("$stack")
    if in_stack:
        place = int(value.source[len("$stack") :])
    else:
        name = RESULTS[machine] if value.source == "$retval" else value.source[1:]
        place = REGISTERS[machine].index(name)
    offsets = list(value.dereference) + [0] * (MOST_STEPS - len(value.dereference))
    is_text = value.type not in SIZES
    return _FETCH.pack(in_stack, is_text, SIZES.get(value.type, 0), len(value.dereference), place, *offsets)
