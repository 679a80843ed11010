"""Which function a probe means, where in it it lies, and why it may lie nowhere."""

from __future__ import annotations

from explorer.session.probe_spec import ProbeKind, ProbeSpec
from symbols import absent_names
from symbols.catalog import Catalog
from symbols.errors import Category, KexploreError
from symbols.symbol import Symbol


def symbol_at(catalog: Catalog, spec: ProbeSpec) -> Symbol | None:
    """The symbol that a spec means; None for an address outside all symbols.

    Raises:
        UnknownSymbolError: No symbol has this name.
        KexploreError: The offset lies past the function's end.
    """
    if spec.address is not None:
        found = catalog.at(spec.address)
        return found[0] if found else None
    name = f"{spec.module}:{spec.symbol}" if spec.module else spec.symbol
    symbols = catalog.find(name)
    if not symbols:
        raise absent_names.error_on(catalog, name)
    if catalog.count(symbols[0]) > 1:
        raise absent_names.several(catalog, name)
    if spec.offset:
        landing = catalog.resolve(name, spec.offset)
        if landing.inside is False:
            there = f"{landing.hit.name}+{landing.offset:#x}" if landing.hit else "no known function"
            raise KexploreError(f"{spec} lies past the end of {spec.symbol}: {there} is there")
    return symbols[0]


def spec_of(catalog: Catalog | None, symbol: Symbol, kind: ProbeKind) -> ProbeSpec:
    """The spec of a symbol that was picked from a list."""
    if catalog is not None and symbol.address and catalog.count(symbol) > 1:
        return ProbeSpec("", address=symbol.address, kind=kind)  # the name alone would not say which
    return ProbeSpec(symbol.name, symbol.module or "", kind=kind)


def offset_in(spec: ProbeSpec, symbol: Symbol | None) -> int:
    """The distance of a probe from the start of its function; 0 where that is not known."""
    if spec.address is not None and symbol is not None and symbol.address is not None:
        return spec.address - symbol.address
    return spec.offset


def check(catalog: Catalog, spec: ProbeSpec, symbol: Symbol | None) -> None:
    """Refuse with the exact cause what the kernel would refuse with a vague one.

    Raises:
        KexploreError: The place takes no probe.
    """
    if symbol is None:
        if catalog.addresses_hidden:
            raise KexploreError(
                f"what lies at {spec} cannot be told: this kernel hides its addresses",
                "as root: sysctl kernel.kptr_restrict=1",
                Category.NOT_PERMITTED,
            )
        raise KexploreError(
            f"{spec} lies in no function of the kernel or of a loaded module",
            "addresses change with every boot and every load of a module: kexplore show SYMBOL tells today's",
        )
    if spec.kind is not ProbeKind.ENTRY and (offset := offset_in(spec, symbol)):
        raise KexploreError(
            f"{spec} lies inside {symbol.name}, at +{offset:#x}: only a whole function returns",
            f"probe {symbol.name}{spec.kind.suffix}",
            Category.USAGE,
        )
    verdict = catalog.verdict(symbol)
    if not verdict.can_arm:
        name = symbol.name if spec.address is None else f"{spec}, in {symbol.name},"
        raise KexploreError(
            f"{name} cannot be probed: {verdict.cause}",
            "probe a function that calls it, or one that it calls",
            Category.KERNEL_CANNOT,
        )
