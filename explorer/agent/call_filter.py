"""Which functions ftrace's function tracer follows in an instance: written by number, never left empty.

A name costs the kernel a look at all its functions, a number none (since 5.1). An empty filter would mean *every*
function; so one that nobody calls always stands in it: what is left when everything else has been taken out, or when a
module has gone with its functions.
"""

from __future__ import annotations

import os
from typing import Dict, List, NamedTuple, Sequence, Tuple

from explorer.agent.failure import RequestError
from explorer.agent.protocol import Code
from explorer.agent.tracefs import Instance, read

_ANCHOR = "panic"


class Function(NamedTuple):
    """A function by name; ``module`` is "" for the kernel itself."""

    symbol: str
    module: str

    @property
    def line(self) -> str:
        """As the kernel lists it."""
        return f"{self.symbol} [{self.module}]" if self.module else self.symbol


class CallFilter:
    """The filter of an instance that exists; empty until ``set``.

    Args:
        instance: The instance.
        functions: What ``available_filter_functions`` says: a function's number is that of its line.
    """

    def __init__(self, instance: Instance, functions: str) -> None:
        self._instance = instance
        self._numbers: Dict[str, List[int]] = {}
        for number, line in enumerate(functions.splitlines(), start=1):
            self._numbers.setdefault(line, []).append(number)

    def known(self, wanted: Sequence[Function]) -> Tuple[List[Function], List[Function]]:
        """Those of the functions that ftrace can follow, and the others."""
        here = [function for function in wanted if function.line in self._numbers]
        return here, [function for function in wanted if function.line not in self._numbers]

    def set(self, functions: Sequence[Function]) -> int:
        """Follow these, and no others.

        Returns:
            How many places that are: several where functions share a name.

        Raises:
            OSError: The kernel refused one.
            RequestError: A module came or went meanwhile, so that the numbers meant others.
        """
        if _ANCHOR not in self._numbers:
            raise RequestError(Code.KERNEL_CANNOT, f"ftrace cannot follow {_ANCHOR}() on this kernel, which it must")
        lines = [function.line for function in functions]
        self._write([*lines, _ANCHOR], "", os.O_TRUNC)
        expected = sorted(line for line in {*lines, _ANCHOR} for _ in self._numbers[line])
        listed = read(os.path.join(self._instance.path, "set_ftrace_filter")).splitlines()
        if sorted(listed) != expected:
            raise RequestError(
                Code.FAILED, "the kernel's functions changed meanwhile: a module came or went", "try again"
            )
        return len(expected) - len(self._numbers[_ANCHOR])

    def leave(self, functions: Sequence[Function]) -> None:
        """Follow these no longer.

        Raises:
            OSError: The kernel refused.
        """
        self._write([function.line for function in functions if function.symbol != _ANCHOR], "!", 0)

    def _write(self, lines: Sequence[str], prefix: str, flags: int) -> None:
        path = os.path.join(self._instance.path, "set_ftrace_filter")
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags)
        try:
            for line in lines:
                for number in self._numbers[line]:
                    os.write(descriptor, f"{prefix}{number} ".encode())  # the kernel takes one word a write
        finally:
            os.close(descriptor)
