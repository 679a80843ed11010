"""From the shapes of a function's parameters and result to their locations, by an architecture's table."""

from __future__ import annotations

from collections.abc import Sequence

from symbols import pt_regs
from symbols.abi.conventions import CONVENTIONS, Convention
from symbols.abi.shape import Shape, ShapeKind
from symbols.location import Location, Reference, Register, Registers, Stack, Unknown

_WORD = 8
_MAYBE_PACKED = "whether it is a packed struct decides its place, and type information does not tell that"


def place(
    architecture: str, result: Shape | None, parameters: Sequence[Shape]
) -> tuple[Location | None, tuple[Location, ...]]:
    """Where the result lives at return, and each parameter at entry.

    Args:
        architecture: As ``uname -m`` prints it.
        result: None for ``void``.
        parameters: The named ones; what ``...`` stands for cannot be told.

    Returns:
        The result's location (None for ``void``) and one location a parameter. ``Unknown`` wherever the convention or
        the types do not tell; a parameter of unknown size makes all that follow it unknown.
    """
    convention = CONVENTIONS.get(architecture)
    if convention is None:
        nowhere = Unknown(f"no calling convention is known for {architecture}")
        return None if result is None else nowhere, (nowhere,) * len(parameters)
    placement = _Placement(architecture, convention)
    returned = None if result is None else placement.result(result)
    return returned, tuple(placement.parameter(shape) for shape in parameters)


class _Placement:
    """Hands out registers and stack slots in the order of the parameters."""

    def __init__(self, architecture: str, convention: Convention) -> None:
        self._architecture = architecture
        self._convention = convention
        self._used = 0
        self._stack = 0
        self._lost = ""
        """Why nothing more can be told; empty as long as it can."""

    def result(self, shape: Shape) -> Location | None:
        convention = self._convention
        if shape.kind is ShapeKind.FLOATING:
            return Unknown("a floating point result: the kernel has no register for it")
        if shape.kind is ShapeKind.UNKNOWN:
            if convention.result_pointer_is_argument:
                self._lost = f"it depends on the result: {shape.cause}"
            return Unknown(shape.cause)
        if shape.size == 0:
            return None
        if not self._in_memory(shape):
            return self._registers(convention.results[: _words(shape)], shape.size)
        if not convention.result_pointer_is_argument:
            return Unknown(
                f"the function writes it to memory whose address was in {convention.result_pointer} at entry; "
                "nothing points there any more at return"
            )
        self._used += 1
        return Reference(self._register(convention.results[0], _WORD), shape.size)

    def parameter(self, shape: Shape) -> Location:
        convention = self._convention
        if self._lost:
            return Unknown(self._lost)
        if shape.kind in (ShapeKind.UNKNOWN, ShapeKind.FLOATING):
            return self._lose(shape.cause or "it holds floating point values, for which a kernel has no registers")
        if shape.size == 0:
            return Unknown("it is empty: nothing is passed")
        if self._in_memory(shape):
            if convention.large_by_reference:
                pointer = self.parameter(Shape(ShapeKind.INTEGER, _WORD, _WORD))
                assert isinstance(pointer, Register | Stack)
                return Reference(pointer, shape.size)
            return self._on_stack(shape)
        count = _words(shape)
        first = self._used
        if convention.even_pairs and shape.alignment > _WORD and first % 2:
            if not shape.alignment_is_certain:
                return self._lose(_MAYBE_PACKED)
            first += 1
        if first + count > len(convention.arguments):
            if convention.stack_is_final:
                self._used = len(convention.arguments)
            return self._on_stack(shape)
        self._used = first + count
        return self._registers(convention.arguments[first : self._used], shape.size)

    def _in_memory(self, shape: Shape) -> bool:
        """Whether it is too large, or too crooked, for registers."""
        return shape.size > 2 * _WORD or (shape.misaligned and self._convention.misaligned_in_memory)

    def _lose(self, cause: str) -> Unknown:
        """Give up on this parameter, and on all that follow it."""
        self._lost = f"it depends on an earlier parameter: {cause}"
        return Unknown(cause)

    def _on_stack(self, shape: Shape) -> Stack | Unknown:
        alignment = max(_WORD, min(shape.alignment, 2 * _WORD))
        if self._stack % alignment and not shape.alignment_is_certain:
            return self._lose(_MAYBE_PACKED)
        start = -(-self._stack // alignment) * alignment
        self._stack = start + _words(shape) * _WORD
        offset = self._convention.stack_start + start
        return Stack(offset // _WORD, offset, shape.size)

    def _registers(self, names: tuple[str, ...], size: int) -> Register | Registers:
        if len(names) == 1:
            return self._register(names[0], size)
        return Registers(names, tuple(pt_regs.offset_of(self._architecture, name) for name in names), size)

    def _register(self, name: str, size: int) -> Register:
        return Register(name, pt_regs.offset_of(self._architecture, name), size)


def _words(shape: Shape) -> int:
    return -(-shape.size // _WORD)
