"""Prototypes of system call entries with the system call's own arguments in place of the one ``struct pt_regs *``."""

from __future__ import annotations

import dataclasses

from symbols import prototypes, system_calls
from symbols.abi.placement import place
from symbols.abi.shape import Shape, ShapeKind
from symbols.btf import Btf
from symbols.c_types import CType, TypeKind
from symbols.errors import KexploreError
from symbols.prototype import Parameter, Prototype, Source, Trust
from symbols.system_calls import Argument, Formats, SystemCallEntry, body_of, entry_of

_LONG = CType("long", TypeKind.SIGNED, 8)
_CAUSE = "a system call entry: its one real argument is a struct pt_regs *, these are in the registers saved there"


def refine(found: Prototype, architecture: str, formats: Formats, btf: Btf | KexploreError | None) -> Prototype:
    """A better prototype of a system call's entry point or body, where there is one.

    Args:
        found: What is known without knowing that it is one.
        architecture: As ``uname -m`` prints it.
        formats: Of the tracepoints; empty where they are not known.
        btf: The kernel's types.
    """
    entry = entry_of(found.name)
    if entry is not None:
        typed = _from_body(btf, architecture, entry, found.name) or _from_format(formats, entry, found.name)
        return _of_entry(found, architecture, entry, *typed) if typed else found
    call = body_of(found.name)
    if call is not None and found.trust is Trust.NONE and call in formats:
        return _of_body(found, architecture, formats[call])
    return found


def _from_body(
    btf: Btf | KexploreError | None, architecture: str, entry: SystemCallEntry, name: str
) -> tuple[Source, str, tuple[Argument, ...]] | None:
    """By the BTF of the function that does the work; most are inlined and have none."""
    if not isinstance(btf, Btf):
        return None
    body = f"__do_{'compat_' if entry.compat else ''}sys_{entry.call}"
    found = prototypes.from_btf(btf, architecture, body)
    if found.trust is not Trust.EXACT:
        return None
    if [parameter.type.pointee for parameter in found.parameters] == ["struct pt_regs"]:  # it takes no argument
        return Source.BTF, system_calls.declaration(name, ()), ()
    arguments = tuple(Argument(parameter.name, parameter.type) for parameter in found.parameters)
    return Source.BTF, found.text.replace(f"{body}(", f"{name}(", 1), arguments


def _from_format(
    formats: Formats, entry: SystemCallEntry, name: str
) -> tuple[Source, str, tuple[Argument, ...]] | None:
    if entry.compat or entry.call not in formats:  # the tracepoint of a call with a compat entry is the other's
        return None
    arguments = formats[entry.call]
    return Source.TRACEPOINT, system_calls.declaration(name, arguments), arguments


def _of_entry(
    found: Prototype,
    architecture: str,
    entry: SystemCallEntry,
    source: Source,
    text: str,
    arguments: tuple[Argument, ...],
) -> Prototype:
    parameters = tuple(
        Parameter(argument.name, argument.type, entry.location(architecture, position, argument.type.size or 8))
        for position, argument in enumerate(arguments)
    )
    cause = _CAUSE + (f"; only {entry.who} come here" if entry.who else "")
    return Prototype(
        found.name, text, source, Trust.WRAPPER, cause, _LONG, found.return_location, parameters
    )  # fmt: skip


def _of_body(found: Prototype, architecture: str, arguments: tuple[Argument, ...]) -> Prototype:
    """Arguments in registers: ``__se_sys_*`` takes each as a long, ``__do_sys_*`` by its type; both as wide as that."""
    if found.name.startswith("__se_"):
        arguments = tuple(dataclasses.replace(argument, type=_widened(argument.type)) for argument in arguments)
    shapes = [Shape(ShapeKind.INTEGER, argument.type.size or 8, argument.type.size or 8) for argument in arguments]
    returned, locations = place(architecture, Shape(ShapeKind.INTEGER, 8, 8), shapes)
    parameters = tuple(Parameter(a.name, a.type, location) for a, location in zip(arguments, locations, strict=True))
    text = system_calls.declaration(found.name, arguments)
    cause = f"taken from the system call's tracepoint: {found.cause}"
    return Prototype(found.name, text, Source.TRACEPOINT, Trust.VARIANT, cause, _LONG, returned, parameters)


def _widened(argument: CType) -> CType:
    return argument if argument.kind is TypeKind.POINTER else _LONG
