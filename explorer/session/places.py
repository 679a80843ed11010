"""Where in its function a probe lies, and why it may lie nowhere."""

from __future__ import annotations

from explorer.session.probe_spec import ProbeKind, ProbeSpec
from symbols.catalog import Catalog
from symbols.errors import Category, KexploreError
from symbols.symbol import Symbol


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
    if spec.kind is ProbeKind.RETURN and (offset := offset_in(spec, symbol)):
        raise KexploreError(
            f"{spec} lies inside {symbol.name}, at +{offset:#x}: only a whole function returns",
            f"probe {symbol.name}%return",
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
