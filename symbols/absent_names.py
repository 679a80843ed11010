"""Names that stand for no symbol, or for several: why, and what to write in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symbols.errors import Category, KexploreError, UnknownSymbolError
from symbols.verdict import Verdict, VerdictKind

if TYPE_CHECKING:
    from symbols.catalog import Catalog

_MOST_PLACES = 4
"""How many of one name a message lists."""


def verdict_on(catalog: Catalog, name: str) -> Verdict:
    """Why there is no symbol of this name, as far as that can be told."""
    module, _, plain = name.rpartition(":")
    if module and not catalog.is_loaded(module):
        cause = (
            f"no module {module} is loaded: pending, the kernel would take the probe silently, and it would never fire "
            "as long as the module is absent"
        )
        return Verdict(VerdictKind.MODULE_NOT_LOADED, None, cause)
    if copies := catalog.inlined_only(plain):
        cause = f"the compiler left no function of this name, only {copies:,} inlined copies of it"
        return Verdict(VerdictKind.INLINED, None, cause)
    if variants := catalog.variants(name):
        names = ", ".join(variant.name for variant in variants[:3])
        return Verdict(VerdictKind.UNKNOWN, None, f"the compiler left no {plain}, only {names}")
    if catalog.in_types(module, plain):
        cause = "type information names it, but it has no symbol: it was inlined into its callers, or left out"
        if module:
            cause += f", or was thrown away when {module} had started"
        return Verdict(VerdictKind.INLINED, None, cause)
    near = catalog.nearest(plain)
    cause = f"no symbol has this name; near: {', '.join(near)}" if near else "no symbol has this name"
    return Verdict(VerdictKind.UNKNOWN, None, cause)


def error_on(catalog: Catalog, name: str) -> KexploreError:
    """The same as an error with what to do."""
    verdict = verdict_on(catalog, name)
    module, _, plain = name.rpartition(":")
    if verdict.kind is VerdictKind.MODULE_NOT_LOADED:
        return KexploreError(f"{name} cannot be probed: {verdict.cause}", f"modprobe {module}")
    if verdict.kind is VerdictKind.INLINED:
        hint = "probe a function that calls it: what was inlined runs as a part of that"
        return KexploreError(f"{name} cannot be probed: {verdict.cause}", hint, Category.KERNEL_CANNOT)
    if variants := catalog.variants(name):
        return UnknownSymbolError(name, [f"'{plain}.*'", *(variant.name for variant in variants[:3])])
    return UnknownSymbolError(name, catalog.nearest(name))


def several(catalog: Catalog, name: str) -> KexploreError:
    """Why a name that several symbols share says too little, and by what each of them can be told."""
    places = [instance.words for instance in catalog.instances(name)]
    more = f", and {len(places) - _MOST_PLACES} more: kexplore show {name}" if len(places) > _MOST_PLACES else ""
    return KexploreError(
        f"{len(places)} symbols are named {name!r}", f"pick one by address: {', '.join(places[:_MOST_PLACES])}{more}"
    )
