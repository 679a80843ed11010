"""One table for each architecture; what differs between them is data, not code.

Sources: System V ABI, AMD64 supplement, 3.2.3 "Parameter Passing"; AAPCS64 6.8 "Parameter passing"; RISC-V ELF psABI,
"Integer Calling Convention"; s390x ELF ABI supplement 1.2.3 "Parameter Passing"; 64-bit ELF V2 ABI for Power 2.2.3
"Parameter Passing Registers". What they leave open is taken from what gcc does (tests/unit/test_abi_dwarf.py). A kernel
is built without floating point registers, so only the integer side of each is here.

The tables are for the byte order that Linux kernels of that name have: s390x is big-endian, all others are
little-endian (a big-endian aarch64 kernel calls itself ``aarch64_be``).
"""

from __future__ import annotations

import dataclasses
import enum


class Pairs(enum.Enum):
    """Which values that are aligned to 16 bytes start at an even register."""

    NONE = "none"
    AGGREGATES = "aggregates"
    ALL = "aggregates and wide integers"


@dataclasses.dataclass(frozen=True, slots=True)
class Convention:
    """How one architecture passes integers, pointers and aggregates.

    Attributes:
        arguments: The argument registers, in order.
        results: The registers of a result, low part first.
        stack_pointer: The register that holds the stack pointer.
        stack_start: Distance in bytes from the stack pointer at entry to the first argument on the stack.
        popped: How many bytes above its value at a function's entry the stack pointer is after its return.
        largest_in_registers: The largest value, in bytes, that may go into argument registers; None: any.
        largest_result: The largest aggregate, in bytes, that is returned in registers.
        result_pointer: Where the caller passes the address for a result that needs memory: a register.
        large_by_reference: Whether what is too large for registers is passed as a pointer to a copy; otherwise it lies
            on the stack itself.
        powers_of_two: Whether only aggregates of 1, 2, 4 or 8 bytes go into a register.
        misaligned_in_memory: Whether an aggregate with a misaligned part never goes into registers.
        holes_count: Whether a word of an aggregate that holds no member takes a register like any other.
        empty_by_reference: Whether an empty struct is passed, by reference, as if it were too large.
        pairs: What starts at an even register.
        wide_alignment: Of ``__int128`` on the stack, in bytes.
        largest_alignment: The largest alignment that an aggregate has on the stack, in bytes; None: its own.
        splits: Whether a value that the last registers cannot hold goes into them as far as it fits.
        stack_is_final: Whether no later argument gets a register once one went to the stack.
        right_justified: Whether a narrow value lies at the end of its stack slot (big-endian).
        result_pointer_is_argument: Whether ``result_pointer`` is the first argument register, so that the arguments
            shift.
        result_pointer_is_returned: Whether the address is handed back in the first result register.
    """

    arguments: tuple[str, ...]
    results: tuple[str, ...]
    stack_start: int
    result_pointer: str
    stack_pointer: str = "sp"
    popped: int = 0
    largest_in_registers: int | None = 16
    largest_result: int = 16
    large_by_reference: bool = False
    powers_of_two: bool = False
    misaligned_in_memory: bool = False
    holes_count: bool = True
    empty_by_reference: bool = False
    pairs: Pairs = Pairs.NONE
    wide_alignment: int = 16
    largest_alignment: int | None = 16
    splits: bool = False
    stack_is_final: bool = True
    right_justified: bool = False
    result_pointer_is_argument: bool = True
    result_pointer_is_returned: bool = False


CONVENTIONS: dict[str, Convention] = {
    "x86_64": Convention(
        arguments=("di", "si", "dx", "cx", "r8", "r9"),
        results=("ax", "dx"),
        stack_start=8,  # the return address is below
        result_pointer="di",
        popped=8,  # the return address
        misaligned_in_memory=True,
        holes_count=False,
        largest_alignment=None,
        stack_is_final=False,
        result_pointer_is_returned=True,
    ),
    "aarch64": Convention(
        arguments=tuple(f"x{number}" for number in range(8)),
        results=("x0", "x1"),
        stack_start=0,
        result_pointer="x8",
        large_by_reference=True,
        pairs=Pairs.ALL,
        result_pointer_is_argument=False,
    ),
    "riscv64": Convention(
        arguments=tuple(f"a{number}" for number in range(8)),
        results=("a0", "a1"),
        stack_start=0,
        result_pointer="a0",
        large_by_reference=True,
        splits=True,
    ),
    "s390x": Convention(
        arguments=tuple(f"r{number}" for number in range(2, 7)),
        results=("r2",),
        stack_start=160,  # where the callee may save registers is below
        result_pointer="r2",
        stack_pointer="r15",
        largest_in_registers=8,
        largest_result=0,
        large_by_reference=True,
        powers_of_two=True,
        empty_by_reference=True,
        right_justified=True,
    ),
    "ppc64le": Convention(
        arguments=tuple(f"gpr{number}" for number in range(3, 11)),
        results=("gpr3", "gpr4"),
        stack_start=96,  # the header, and room for the eight arguments that are in registers
        result_pointer="gpr3",
        stack_pointer="gpr1",
        largest_in_registers=None,
        pairs=Pairs.AGGREGATES,
        wide_alignment=8,
        splits=True,
    ),
}
"""By architecture as ``uname -m`` prints it."""
