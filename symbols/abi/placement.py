"""From the shapes of a function's parameters and result to their locations, by an architecture's table."""

from __future__ import annotations

from collections.abc import Sequence

from symbols import pt_regs
from symbols.abi.conventions import CONVENTIONS, Convention, Pairs
from symbols.abi.shape import Shape, ShapeKind
from symbols.location import Location, Reference, Register, Registers, Split, Stack, Unknown

_WORD = 8
_MAYBE_PACKED = "whether it is a packed struct decides its place, and type information does not tell that"
_MAYBE_ALIGNED = "an alignment given by attribute, which BTF does not tell, would move it"
_HOLLOW = "a word of it holds no member, and what kind of padding that is decides whether a register is kept for it"
_FLOATING = "it holds floating point values, for which a kernel has no registers"


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
        self._register_doubt = ""
        self._stack_doubt = ""
        """Why the next register, the next stack slot is only the likely one."""

    def result(self, shape: Shape) -> Location | None:
        convention = self._convention
        if shape.kind is ShapeKind.FLOATING:
            if shape.size > convention.largest_result and convention.result_pointer_is_argument:
                self._lost = f"it depends on the result: {_FLOATING}"
            return Unknown("a floating point result: the kernel has no register for it")
        if shape.kind is ShapeKind.UNKNOWN:
            if convention.result_pointer_is_argument:
                self._lost = f"it depends on the result: {shape.cause}"
            return Unknown(shape.cause)
        if not self._result_in_memory(shape):
            if shape.size == 0:
                return None
            if shape.hollow and not convention.holes_count:
                return Unknown(_HOLLOW)
            return self._registers(convention.results[: _words(shape.size)], shape.size)
        if convention.result_pointer_is_argument:
            self._used += 1
        if shape.size == 0:
            return None
        if convention.result_pointer_is_returned:
            return Reference(self._register(convention.results[0], _WORD), shape.size)
        return Unknown(
            f"the function writes it to memory whose address was in {convention.result_pointer} at entry; "
            "nothing need point there any more at return"
        )

    def parameter(self, shape: Shape) -> Location:
        convention = self._convention
        if self._lost:
            return Unknown(self._lost)
        if shape.kind in (ShapeKind.UNKNOWN, ShapeKind.FLOATING):
            return self._lose(shape.cause or _FLOATING)
        if shape.size == 0:
            if convention.empty_by_reference:
                self.parameter(Shape(ShapeKind.INTEGER, _WORD, _WORD))
            return Unknown("it is empty: nothing is passed")
        if self._in_memory(shape):
            if convention.large_by_reference:
                pointer = self.parameter(Shape(ShapeKind.INTEGER, _WORD, _WORD))
                assert isinstance(pointer, Register | Stack)
                return Reference(pointer, shape.size)
            return self._on_stack(shape, shape.size)
        if shape.hollow and not convention.holes_count:
            return self._lose(_HOLLOW)
        count = _words(shape.size)
        first = self._used
        if self._wants_pair(shape) and first % 2:
            if not shape.alignment_is_certain:
                return self._lose(_MAYBE_PACKED)
            if shape.alignment > _WORD:
                first += 1
            elif convention.splits or first + count <= len(convention.arguments):
                self._register_doubt = self._stack_doubt = _MAYBE_ALIGNED
        if first + count <= len(convention.arguments):
            self._used = first + count
            return self._registers(convention.arguments[first : self._used], shape.size)
        if convention.splits and first < len(convention.arguments):
            return self._split(first, shape)
        if convention.stack_is_final:
            self._used = len(convention.arguments)
        return self._on_stack(shape, shape.size)

    def _result_in_memory(self, shape: Shape) -> bool:
        convention = self._convention
        if shape.kind is ShapeKind.INTEGER:
            return False
        if shape.size > convention.largest_result or (shape.misaligned and convention.misaligned_in_memory):
            return True
        return shape.size == 0 and not convention.largest_result

    def _in_memory(self, shape: Shape) -> bool:
        """Whether it is too large, or too crooked, for registers."""
        convention = self._convention
        if convention.largest_in_registers is not None and shape.size > convention.largest_in_registers:
            return True
        if shape.misaligned and convention.misaligned_in_memory:
            return True
        return convention.powers_of_two and shape.size not in (1, 2, 4, 8)

    def _wants_pair(self, shape: Shape) -> bool:
        """Whether it starts at an even register, or would if an attribute made its alignment larger."""
        if shape.largest_alignment <= _WORD or self._convention.pairs is Pairs.NONE:
            return False
        return shape.kind is ShapeKind.AGGREGATE or self._convention.pairs is Pairs.ALL

    def _lose(self, cause: str) -> Unknown:
        """Give up on this parameter, and on all that follow it."""
        self._lost = f"it depends on an earlier parameter: {cause}"
        return Unknown(cause)

    def _split(self, first: int, shape: Shape) -> Split:
        """The start of it in the registers that are left, the rest on the stack, which is empty as yet."""
        names = self._convention.arguments[first:]
        self._used = len(self._convention.arguments)
        held = len(names) * _WORD
        offsets = tuple(pt_regs.offset_of(self._architecture, name) for name in names)
        rest = self._stack_slots(shape.size - held)
        return Split(Registers(names, offsets, held), rest, self._register_doubt)

    def _on_stack(self, shape: Shape, size: int) -> Stack | Unknown:
        """At the next place on the stack that fits its alignment."""
        limit = self._convention.largest_alignment or shape.largest_alignment
        own = self._convention.wide_alignment if shape.kind is ShapeKind.WIDE else min(shape.alignment, limit)
        alignment = max(_WORD, own)
        if self._stack % alignment and not shape.alignment_is_certain:
            return self._lose(_MAYBE_PACKED)
        self._stack += -self._stack % alignment
        if self._stack % max(_WORD, min(shape.largest_alignment, limit)) and shape.kind is not ShapeKind.WIDE:
            self._stack_doubt = _MAYBE_ALIGNED
        return self._stack_slots(size)

    def _stack_slots(self, size: int) -> Stack:
        offset = self._convention.stack_start + self._stack
        self._stack += _words(size) * _WORD
        if self._convention.right_justified:
            offset += -size % _WORD
        return Stack(offset // _WORD, offset, size, self._stack_doubt)

    def _registers(self, names: tuple[str, ...], size: int) -> Register | Registers:
        if len(names) == 1:
            return self._register(names[0], size)
        offsets = tuple(pt_regs.offset_of(self._architecture, name) for name in names)
        return Registers(names, offsets, size, self._register_doubt)

    def _register(self, name: str, size: int) -> Register:
        return Register(name, pt_regs.offset_of(self._architecture, name), size, self._register_doubt)


def _words(size: int) -> int:
    return -(-size // _WORD)
