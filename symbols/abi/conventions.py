"""One table for each architecture; what differs between them is data, not code.

Sources: System V ABI, AMD64 supplement, 3.2.3 "Parameter Passing"; AAPCS64 6.8 "Parameter passing". A kernel is built
without floating point registers, so only the integer side of each is here.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Convention:
    """How one architecture passes integers, pointers and aggregates.

    Attributes:
        arguments: The argument registers, in order.
        results: The registers of a result, low part first.
        stack_start: Distance in bytes from the stack pointer at entry to the first argument on the stack.
        large_by_reference: Whether an aggregate over two registers is passed as a pointer to a copy; otherwise the
            aggregate itself lies on the stack.
        misaligned_in_memory: Whether an aggregate with a misaligned part never goes into registers.
        even_pairs: Whether a value that is aligned to 16 bytes starts at an even register.
        stack_is_final: Whether no later argument gets a register once one went to the stack.
        result_pointer: Where the caller passes the address for a result that needs memory: a register.
        result_pointer_is_argument: Whether that register is the first argument register, so that the arguments shift,
            and its value is handed back in the first result register.
    """

    arguments: tuple[str, ...]
    results: tuple[str, ...]
    stack_start: int
    large_by_reference: bool
    misaligned_in_memory: bool
    even_pairs: bool
    stack_is_final: bool
    result_pointer: str
    result_pointer_is_argument: bool


CONVENTIONS: dict[str, Convention] = {
    "x86_64": Convention(
        arguments=("di", "si", "dx", "cx", "r8", "r9"),
        results=("ax", "dx"),
        stack_start=8,  # the return address is below
        large_by_reference=False,
        misaligned_in_memory=True,
        even_pairs=False,
        stack_is_final=False,
        result_pointer="di",
        result_pointer_is_argument=True,
    ),
    "aarch64": Convention(
        arguments=("x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"),
        results=("x0", "x1"),
        stack_start=0,
        large_by_reference=True,
        misaligned_in_memory=False,
        even_pairs=True,
        stack_is_final=True,
        result_pointer="x8",
        result_pointer_is_argument=False,
    ),
}
"""By architecture as ``uname -m`` prints it."""
