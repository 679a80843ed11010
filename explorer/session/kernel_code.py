"""The code of the kernel that is looked at: a function as a listing of places for probes.

A running kernel's code holds the breakpoints and jumps of the probes that are armed in it. Where this session saw a
function before they were, its listing shows what was there; of other people's probes it tells that they hide something.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterable

from explorer.session.probe_spec import ProbeSpec
from symbols import probe_sites
from symbols.catalog import Catalog
from symbols.disassembly import disassemble
from symbols.errors import KexploreError
from symbols.kprobes_list import Kprobe, parse_kprobes
from symbols.probe_sites import Patched, Role, Site
from symbols.symbol import Symbol
from symbols.verdict import Mechanism

LARGEST = 256 * 1024
"""Bytes of a function that are listed at most: what the agent reads in one piece."""
_PAGE = 4096
_BREAKPOINTS = {"x86_64": b"\xcc", "aarch64": (0xD4200080).to_bytes(4, "little")}
"""What a kprobe puts in place of an instruction (arch/arm64: BRK64_OPCODE_KPROBES)."""
_JUMP = 5
"""Bytes of the jump that an optimised kprobe becomes on x86."""
_TABLES = {"jump_labels": ("__start___jump_table", 16), "static_calls": ("__start_static_call_sites", 8)}
"""Facts of the agent, the symbol at which each table begins, and the size of an entry."""


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """A function's code.

    Attributes:
        symbol: The function.
        sites: Its instructions, in order.
        kprobes: What was armed in it when it was read, by address; by whomever.
        notes: What is not complete or not certain, and why.
    """

    symbol: Symbol
    sites: tuple[Site, ...]
    kprobes: dict[int, Kprobe]
    notes: tuple[str, ...]

    def offset(self, site: Site) -> int:
        """Its distance from the function's start."""
        assert self.symbol.address is not None
        return site.instruction.address - self.symbol.address

    def row(self, address: int) -> int | None:
        """The index of the site that an address lies in."""
        for index, site in enumerate(self.sites):
            if site.instruction.address <= address < site.instruction.end:
                return index
        return None


class KernelCode:
    """The code of one session's kernel.

    Args:
        fact: Asks the agent for a named fact.
    """

    def __init__(self, fact: Callable[[str], Awaitable[bytes]]) -> None:
        self._fact = fact
        self._seen: dict[int, bytes] = {}
        """Functions by address, as they were without probes."""
        self._patched: Patched | None = None
        self._table_notes: list[str] = []

    async def listing(self, catalog: Catalog, symbol: Symbol) -> Listing:
        """Read and judge a function.

        Raises:
            KexploreError: Its address is hidden, its code cannot be read, or its instructions are not known.
        """
        if symbol.address is None:
            raise KexploreError(
                f"the address of {symbol.name} is hidden, so its code cannot be found", "as root: see kexplore doctor"
            )
        notes: list[str] = []
        size = symbol.size
        if size is None:
            size = _PAGE - symbol.address % _PAGE
            notes.append(f"where {symbol.name} ends is not known: this is what its page holds")
        elif size > LARGEST:
            notes.append(f"{symbol.name} reaches over {size:,} bytes: these are the first {LARGEST:,}")
        code = await self._fact(f"text:{symbol.address:#x}:{min(size, LARGEST)}")
        kprobes = await self._kprobes(symbol.address, len(code), notes)
        architecture, start = catalog.architecture, symbol.address
        clean, hidden = self._uncover(architecture, start, code, (kprobes or {}).values())
        instructions = disassemble(architecture, start, clean, hidden)
        if kprobes is None and (unexplained := probe_sites.unexplained_breakpoints(instructions)):
            hidden = {address - start: 1 for address in unexplained}
            instructions = disassemble(architecture, start, clean, hidden)
        if not hidden:
            self._seen[start] = clean
        site = catalog.ftrace_site(symbol)
        if site is None and catalog.verdict(symbol).mechanism is Mechanism.FTRACE:
            site = probe_sites.call_site(instructions)
        # A module's tables are its own, and nobody tells where they are.
        patched = await self._tables(catalog) if symbol.module is None else Patched()
        sites = probe_sites.judge(instructions, site, patched)
        return Listing(symbol, tuple(sites), kprobes or {}, (*notes, *self._table_notes))

    async def check(self, catalog: Catalog, spec: ProbeSpec, symbol: Symbol, offset: int) -> None:
        """Make sure that a probe inside a function stands at the beginning of an instruction that takes one.

        Where the code cannot be read it does nothing: the kernel itself checks, it only tells less.

        Raises:
            KexploreError: It does not; the message names the nearest places that would do.
        """
        if not offset or symbol.address is None:
            return
        try:
            listing = await self.listing(catalog, symbol)
        except KexploreError:
            return
        row = listing.row(symbol.address + offset)
        if row is None:
            return
        site = listing.sites[row]
        if listing.offset(site) == offset:
            if site.cause and site.role is not Role.HIDDEN:
                raise KexploreError(f"{spec} cannot be probed: {site.cause}", _hint(symbol))
            return
        if site.role is Role.HIDDEN:
            return
        if site.role is Role.PADDING:
            raise KexploreError(f"{spec} cannot be probed: {site.cause}", _hint(symbol))
        near = [listing.offset(site), listing.offset(site) + len(site.instruction.code)]
        names = [f"{symbol.name}+{there:#x}" for there in near if symbol.size is None or there < symbol.size]
        raise KexploreError(
            f"{spec} lies inside an instruction: the nearest that begin are at {' and '.join(names)}", _hint(symbol)
        )

    async def _kprobes(self, start: int, length: int, notes: list[str]) -> dict[int, Kprobe] | None:
        """What is armed in a range; None when that cannot be told."""
        try:
            listed = parse_kprobes(await self._fact("kprobes"))
        except KexploreError as error:
            notes.append(f"which probes are armed in it cannot be told: {error.message}")
            return None
        return {probe.address: probe for probe in listed if start <= probe.address < start + length}

    def _uncover(
        self, architecture: str, start: int, code: bytes, kprobes: Iterable[Kprobe]
    ) -> tuple[bytes, dict[int, int]]:
        """The code without the probes in it, and where what they replaced is not known: offsets and lengths."""
        clean = bytearray(code)
        replaced = {}
        breakpoint_ = _BREAKPOINTS.get(architecture, b"")
        for probe in kprobes:
            offset = probe.address - start
            if breakpoint_ and code.startswith(breakpoint_, offset):
                replaced[offset] = len(breakpoint_)
            elif "OPTIMIZED" in probe.flags:
                replaced[offset] = _JUMP
        seen = self._seen.get(start, b"")
        for offset, length in replaced.items():
            clean[offset : offset + length] = seen[offset : offset + length]
        if bytes(clean) != seen and replaced:  # never seen, or something else in it changed: nothing is certain
            return code, replaced
        return bytes(clean), {}

    async def _tables(self, catalog: Catalog) -> Patched:
        """The tables of what the kernel rewrites itself; read once, as they do not change."""
        if self._patched is None:
            found: dict[str, frozenset[int]] = {}
            for name, (mark, stride) in _TABLES.items():
                marks = catalog.find(mark)
                if not marks or marks[0].address is None:
                    continue
                try:
                    found[name] = probe_sites.table_addresses(await self._fact(name), marks[0].address, stride)
                except KexploreError as error:
                    self._table_notes.append(f"{name.replace('_', ' ')} are not marked: {error.message}")
            self._patched = Patched(found.get("jump_labels"), found.get("static_calls"))
        return self._patched


def _hint(symbol: Symbol) -> str:
    return f"kexplore disassemble {symbol.name} lists the places that can be probed"
