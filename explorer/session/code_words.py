"""The words for instructions: names for the addresses that they lead to, and what is special about their places."""

from __future__ import annotations

import dataclasses

from explorer.session.kernel_code import Listing
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from symbols.catalog import Catalog
from symbols.disassembly import Instruction
from symbols.probe_sites import Role, Site


def spec_at(catalog: Catalog, listing: Listing, site: Site, entry: ProbeSpec) -> ProbeSpec:
    """The probe on an instruction.

    Args:
        catalog: Of the listing's kernel.
        listing: Where the instruction stands.
        site: The instruction.
        entry: The probe at the function's entry.
    """
    if site.role in (Role.ENTRY, Role.FTRACE) or not listing.offset(site):
        return dataclasses.replace(entry, kind=ProbeKind.ENTRY)
    if catalog.count(listing.symbol) > 1:
        return ProbeSpec("", address=site.instruction.address)
    return ProbeSpec(listing.symbol.name, listing.symbol.module or "", listing.offset(site))


def place_words(catalog: Catalog, listing: Listing, address: int) -> str:
    """What an address is called: an offset in the same function, or another symbol."""
    start = listing.symbol.address
    assert start is not None
    if listing.sites and start <= address < listing.sites[-1].instruction.end:
        return f"+{address - start:#x}"
    found = catalog.at(address)
    if found is None:
        return f"{address:#x}"
    return found[0].name + (f"+{found[1]:#x}" if found[1] else "")


def instruction_words(catalog: Catalog, listing: Listing, instruction: Instruction) -> str:
    """An instruction with names in place of the addresses that it leads to."""
    if not instruction.mnemonic:
        return "?"
    operands = instruction.operands
    if instruction.target is not None:
        before, _, _ = operands.rpartition(f"{instruction.target:#x}")
        operands = before.removesuffix("#") + place_words(catalog, listing, instruction.target)
    return f"{instruction.mnemonic} {operands}".rstrip()


def remark(catalog: Catalog, listing: Listing, site: Site) -> str:
    """What is to be said of an instruction besides what it does; "" for most."""
    words = [_ROLES.get(site.role, f"✗ {site.cause}" if site.cause else "")]
    if site.instruction.reference is not None:
        words.append(place_words(catalog, listing, site.instruction.reference))
    return "; ".join(filter(None, words))


def brief(catalog: Catalog, listing: Listing, site: Site) -> str:
    """The same in a word or two, for where the rest can be had."""
    words = [_BRIEF.get(site.role, site.cause.partition(":")[0])]
    if site.instruction.reference is not None:
        words.append(place_words(catalog, listing, site.instruction.reference))
    return " ".join(filter(None, words))


_ROLES = {
    Role.ENTRY: "the entry",
    Role.FTRACE: "ftrace's call site: the entry probe is armed here",
    Role.MAYBE_PATCHED: "may be a jump label or a static call: then the kernel refuses a probe",
}
_BRIEF = {
    Role.ENTRY: "the entry", Role.FTRACE: "ftrace's call site", Role.JUMP_LABEL: "a jump label",
    Role.STATIC_CALL: "a static call", Role.MAYBE_PATCHED: "may be patched", Role.PADDING: "padding",
    Role.HIDDEN: "hidden",
}  # fmt: skip
