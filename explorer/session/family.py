"""Probes on a function together with all that the compiler made of it: ``foo``, ``foo.isra.0``, ``foo.part.0``.

A call to ``foo`` may end in any of them, so that probing one alone can miss calls. Cold parts are left out: they are
jumped to from inside a function that is probed already.
"""

from __future__ import annotations

import dataclasses

from explorer.session.probe import ProbeState
from explorer.session.probe_spec import ALL_VARIANTS, ProbeKind, ProbeSpec
from explorer.session.session import Session
from symbols.errors import Category, KexploreError
from symbols.naming import Part, part_of
from symbols.symbol import Symbol


def members(session: Session, symbol: Symbol) -> list[Symbol]:
    """The functions that a call to this one may end in, those that cannot be probed included."""
    assert session.catalog is not None
    kin = [instance.symbol for instance in session.catalog.kin(symbol) if instance.symbol.module == symbol.module]
    variant = symbol.base_name != symbol.name
    return [
        other
        for other in kin
        if part_of(other.name) is not Part.COLD and (other == symbol or variant or other.name != symbol.name)
    ]


def specs(session: Session, symbol: Symbol, kind: ProbeKind) -> list[ProbeSpec]:
    """One probe for each that can be probed."""
    assert session.catalog is not None
    return [
        session.probe_for(member, kind)
        for member in members(session, symbol)
        if session.catalog.verdict(member).can_arm
    ]


async def toggle(session: Session, symbol: Symbol, kind: ProbeKind) -> None:
    """Arm what of a function is not armed; where all of it is, disarm it.

    Raises:
        KexploreError: Nothing of it can be probed, or the kernel refused one; those armed before stay.
    """
    wanted = specs(session, symbol, kind)
    if not wanted:
        raise _nothing(session, symbol)
    armed = [spec for spec in wanted if spec in session.probes and session.probes[spec].state is not ProbeState.FAILED]
    for spec in armed if len(armed) == len(wanted) else [spec for spec in wanted if spec not in armed]:
        await session.toggle(spec)


def expand(session: Session, wanted: list[ProbeSpec]) -> list[ProbeSpec]:
    """Each ``foo.*`` replaced by the probes that it stands for.

    Raises:
        KexploreError: There is no such function, or nothing of it can be probed.
    """
    found: list[ProbeSpec] = []
    for spec in wanted:
        if spec.symbol.endswith(ALL_VARIANTS):
            found += _expanded(session, spec)
        else:
            found.append(spec)
    return list(dict.fromkeys(found))


def _expanded(session: Session, spec: ProbeSpec) -> list[ProbeSpec]:
    assert session.catalog is not None
    name = spec.symbol.removesuffix(ALL_VARIANTS)
    qualified = f"{spec.module}:{name}" if spec.module else name
    functions = session.catalog.find(qualified) or session.catalog.variants(qualified)
    if not functions:
        session.resolve(dataclasses.replace(spec, symbol=name))  # says why there is none
    found = [each for function in functions for each in specs(session, function, spec.kind)]
    if not found:
        raise _nothing(session, functions[0])
    return found


def _nothing(session: Session, symbol: Symbol) -> KexploreError:
    assert session.catalog is not None
    verdict = session.catalog.verdict(symbol)
    return KexploreError(
        f"{symbol.base_name}: nothing of it can be probed: {verdict.cause}",
        "probe a function that calls it, or one that it calls",
        Category.KERNEL_CANNOT,
    )
