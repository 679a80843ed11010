"""Prototypes of functions: what BTF says of them, how far it can be believed, and where each value lives."""

from __future__ import annotations

from collections.abc import Sequence

from symbols.abi.conventions import CONVENTIONS
from symbols.abi.placement import place
from symbols.abi.shape import Shape, ShapeKind
from symbols.btf import Btf
from symbols.btf_records import VOID_ID
from symbols.btf_values import c_type, shape_of
from symbols.c_declaration import function_declaration
from symbols.c_types import UNKNOWN_TYPE, CType, TypeKind
from symbols.errors import BtfError
from symbols.naming import Part, part_of
from symbols.prototype import Parameter, Prototype, Source, Trust
from symbols.system_calls import entry_of

_WRAPPER_CAUSE = (
    "a system call entry: it gets the caller's saved registers; the system call's own arguments are inside them"
)


def from_btf(btf: Btf, architecture: str, name: str, *, instances: int = 1) -> Prototype:
    """The prototype of a function by what one BTF says: the kernel's own, or the module's that the function is in.

    Args:
        btf: Only its own functions count, not those of its base.
        architecture: As ``uname -m`` prints it.
        name: The symbol, with its suffixes.
        instances: How many symbols of this kernel or module have the name.

    Returns:
        A prototype; with ``Trust.NONE`` and the cause when BTF has no usable one.
    """
    if part_of(name) is Part.COLD:
        return without_btf(architecture, name, "a cold part is jumped to from inside its function, not called")
    found, base = _described(btf, name)
    trust, cause = Trust.EXACT, ""
    if base != name:
        trust = Trust.VARIANT
        cause = f"a variant that the compiler made: this is the prototype of {base}, its arguments may have moved"
    if not found:
        return without_btf(architecture, name, _left_out(instances))
    try:
        texts = {_text(btf, type_id, name): type_id for type_id in found}
        if len(texts) > 1:
            return without_btf(
                architecture, name, f"{len(texts)} functions of this name differ: {'; '.join(sorted(texts))}"
            )
        if instances > 1 and trust is Trust.EXACT:
            trust = Trust.VARIANT
            cause = f"{instances} functions have this name, BTF does not tell which of them it means"
        if entry_of(name):
            trust, cause = Trust.WRAPPER, _WRAPPER_CAUSE
        ((text, type_id),) = texts.items()
        return _build(btf, architecture, name, text, type_id, trust, cause)
    except BtfError as error:
        return without_btf(architecture, name, f"its BTF is damaged: {error}")


def function_meant(btf: Btf, name: str) -> int | None:
    """The id of the FUNC whose prototype ``from_btf`` gives; None when it gives none.

    Raises:
        BtfError: A type of it is damaged.
    """
    found, _ = _described(btf, name)
    if len(found) > 1 and len({_text(btf, type_id, name) for type_id in found}) > 1:
        return None
    return found[-1] if found and part_of(name) is not Part.COLD else None


def _left_out(instances: int) -> str:
    """Why BTF may know nothing of a function; pahole does not say which of its reasons it had."""
    if instances > 1:
        return f"BTF has none of the {instances} functions of this name: it leaves out those that it could mistake"
    return (
        "BTF has no function of this name: it leaves out assembly, names whose prototypes differ between files, and "
        "functions whose arguments the compiler moved"
    )


def without_btf(architecture: str, name: str, cause: str) -> Prototype:
    """The prototype of a function of which BTF tells nothing, for the given cause.

    All system call entries look alike, so those are known all the same; of any other function the text names the raw
    argument registers.
    """
    word = Shape(ShapeKind.INTEGER, 8, 8)
    returned, locations = place(architecture, word, [word])
    if entry_of(name):
        registers = CType("const struct pt_regs *", TypeKind.POINTER, 8, "struct pt_regs")
        parameters = (Parameter("regs", registers, locations[0]),)
        long = CType("long", TypeKind.SIGNED, 8)
        text = f"long {name}(const struct pt_regs *regs)"
        return Prototype(name, text, Source.NONE, Trust.WRAPPER, _WRAPPER_CAUSE, long, returned, parameters)
    convention = CONVENTIONS.get(architecture)
    text = f"{name}({', '.join(convention.arguments) if convention else '?'})"
    return Prototype(name, text, Source.NONE, Trust.NONE, cause, UNKNOWN_TYPE, returned, ())


def _described(btf: Btf, name: str) -> tuple[Sequence[int], str]:
    """The functions that BTF has for a name, or else for the name before the dot; and that name."""
    found = btf.functions(name)
    base = name.partition(".")[0]
    return (found, name) if found or base == name else (btf.functions(base), base)


def _text(btf: Btf, function: int, name: str) -> str:
    return function_declaration(btf, btf.type(btf.type(function).target), name)


def _build(btf: Btf, architecture: str, name: str, text: str, function: int, trust: Trust, cause: str) -> Prototype:
    record = btf.type(btf.type(function).target)
    described = btf.parameters(record)
    varargs = bool(described) and described[-1] == ("", VOID_ID)
    if varargs:
        described.pop()
    returns_nothing = btf.resolve(record.target) is None
    returned, locations = place(
        architecture,
        None if returns_nothing else shape_of(btf, record.target),
        [shape_of(btf, type_id) for _, type_id in described],
    )
    parameters = tuple(
        Parameter(parameter, c_type(btf, type_id), location)
        for (parameter, type_id), location in zip(described, locations, strict=True)
    )
    returns = c_type(btf, record.target)
    return Prototype(name, text, Source.BTF, trust, cause, returns, returned, parameters, varargs)
