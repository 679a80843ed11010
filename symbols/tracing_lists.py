"""The kernel's own lists of what can be traced, what must not be probed, and which modules are loaded.

They are available_filter_functions (since 6.5 with addresses, too) and enabled_functions of tracefs, kprobes/blacklist
of debugfs and /proc/modules.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping

from symbols.errors import FactError, KexploreError
from symbols.list_text import damaged, decode

_ADDRESS = re.compile(rb"[0-9a-f]{1,16}")
_ENABLED = re.compile(r"(\S+)(?: \[(\S+)\])? \((-?[0-9]{1,20})\)(.*)")
_FLAG = re.compile(r"[A-Z]")
_MORE = ("tramp:", "ops:", "subops:")
_RANGE = re.compile(r"0x([0-9a-f]{1,16})-0x([0-9a-f]{1,16})\t(\S+)(?: \[(\S+)\])?")
_MODULE = re.compile(r"(\S+) ([0-9]{1,20}) ([0-9]{1,20}|-) (\S+) (\S+) 0x([0-9a-f]{1,16})(?: \(\S*\))?")
_NAMES_FUNCTION = re.compile(rb"\S+ \[\S+\]")
_INVALID = b"__ftrace_invalid_address__"
_64_BITS = (1 << 64) - 1


class TraceableFunctions:
    """What ftrace can trace: available_filter_functions. The same name may be listed several times.

    Attributes:
        sites: The addresses of the call sites in ascending order, those of functions that the linker dropped included;
            None where the kernel gives names only.
    """

    def __init__(self, lines: Iterable[bytes], sites: array[int] | None = None) -> None:
        """``lines`` are the entries as the kernel writes them: ``name`` or ``name [module]``.

        Of each only a keyed hash of 64 bits is kept, an eighth of what the names would take. That one of 60,000 meets
        that of another name happens once in 300 million million questions.
        """
        self._hashes = array("Q", sorted(array("Q", map(_hash, lines))))
        self.sites = sites

    def __len__(self) -> int:
        return len(self._hashes)

    def count(self, name: str, module: str | None) -> int:
        """How many functions of this name and module are listed."""
        line = _hash((name if module is None else f"{name} [{module}]").encode())
        first = bisect_left(self._hashes, line)
        return bisect_right(self._hashes, line, first) - first if first < len(self._hashes) else 0

    def site_in(self, start: int, end: int) -> int | None:
        """The first call site from ``start`` up to, but not including, ``end``; only where ``sites`` are known."""
        assert self.sites is not None
        place = bisect_left(self.sites, start)
        return self.sites[place] if place < len(self.sites) and self.sites[place] < end else None


@dataclasses.dataclass(frozen=True, slots=True)
class EnabledFunction:
    """A function that is being traced.

    Attributes:
        name: Its symbol.
        module: None for the kernel itself.
        users: How many tracers are attached.
        flags: The letters behind it: ``R`` saves registers, ``I`` changes where execution goes on (a live patch),
            ``D`` calls its tracer directly, ``O`` has its own operations, ``M`` had ``I`` or ``D`` once.
    """

    name: str
    module: str | None
    users: int
    flags: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True)
class BlacklistedRange:
    """Text that takes no kprobe: from ``start`` up to, but not including, ``end``; both 0 when addresses are hidden."""

    start: int
    end: int
    name: str
    module: str | None


class Blacklist:
    """kprobes/blacklist: text that takes no kprobe."""

    def __init__(self, ranges: list[BlacklistedRange]) -> None:
        self._ranges = sorted(ranges, key=lambda entry: entry.start)
        self._starts = [entry.start for entry in self._ranges]
        self._reach = list(itertools.accumulate((entry.end for entry in self._ranges), max))
        """How far the ranges up to each one reach: they may overlap."""
        self._hidden = {(entry.name, entry.module): entry for entry in ranges if entry.end == 0}

    def __len__(self) -> int:
        return len(self._ranges)

    def find(self, address: int | None, name: str, module: str | None) -> BlacklistedRange | None:
        """The range that holds an address, or the entry of this name when addresses are hidden."""
        if address is not None:
            place = bisect_right(self._starts, address) - 1
            while place >= 0 and self._reach[place] > address:
                if self._ranges[place].end > address:
                    return self._ranges[place]
                place -= 1
        return self._hidden.get((name, module))


@dataclasses.dataclass(frozen=True, slots=True)
class Module:
    """A line of /proc/modules: ``state`` is ``Live``, ``Loading`` or ``Unloading``, ``address`` None when hidden."""

    name: str
    size: int
    state: str
    address: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class TracingLists:
    """What the kernel says about tracing; in place of a list that could not be had, the reason.

    Attributes:
        traceable: available_filter_functions.
        blacklist: kprobes/blacklist.
        modules: /proc/modules, by name.
        notrace_allowed: Whether probes are taken where ftrace is kept out (CONFIG_KPROBE_EVENTS_ON_NOTRACE); None
            when that is not known.
        no_probes: Why this kernel takes no probes at all; "" when it does, or when that is not known.
        no_jumps: Why it does not turn breakpoints into jumps; "" when it does.
    """

    traceable: TraceableFunctions | KexploreError
    blacklist: Blacklist | KexploreError
    modules: Mapping[str, Module] | KexploreError
    notrace_allowed: bool | None = None
    no_probes: str = ""
    no_jumps: str = "whether this kernel turns breakpoints into jumps is not known"


def parse_traceable(data: bytes) -> TraceableFunctions:
    """Read available_filter_functions.

    Raises:
        FactError: A line is not one of that list.
    """
    what = "available_filter_functions"
    decode(data, what)
    return TraceableFunctions(_traceable(data.split(b"\n"), what))


def parse_traceable_addresses(data: bytes) -> TraceableFunctions:
    """Read available_filter_functions_addrs (since 6.5): the same list with the address of each call site.

    Raises:
        FactError: A line is not one of that list.
    """
    what = "available_filter_functions_addrs"
    decode(data, what)
    lines = data.splitlines()
    sites = array("Q")
    for number, line in enumerate(lines, 1):
        address = line.partition(b" ")[0]
        if not _ADDRESS.fullmatch(address):
            raise damaged(what, number, line.decode())
        sites.append(int(address, 16))
    functions = TraceableFunctions(_traceable((line.partition(b" ")[2] for line in lines), what))
    del lines
    if any(sites):
        functions.sites = array("Q", sorted(sites))
    return functions


def _traceable(lines: Iterable[bytes], what: str) -> Iterator[bytes]:
    for line in lines:
        if b" " in line and _NAMES_FUNCTION.fullmatch(line) is None:
            raise FactError(f"{what} has a line that names no function: {line[:60].decode()!r}")
        if line and not line.startswith(_INVALID):  # what the linker dropped in favour of another function
            yield line


def _hash(line: bytes) -> int:
    return hash(line) & _64_BITS


def parse_enabled(data: bytes) -> list[EnabledFunction]:
    """Read enabled_functions.

    Raises:
        FactError: A line is not one of that list.
    """
    found = []
    for number, line in _lines(data, "enabled_functions"):
        if line.startswith("\t"):
            continue  # "direct-->function" goes on about the line before
        match = _ENABLED.fullmatch(line)
        if match is None:
            raise damaged("enabled_functions", number, line)
        name, module, users, rest = match.groups()
        words = rest.split()
        flags = list(itertools.takewhile(_FLAG.fullmatch, words))
        if len(flags) < len(words) and not words[len(flags)].startswith(_MORE):
            raise damaged("enabled_functions", number, line)
        found.append(EnabledFunction(name, module, int(users), frozenset(flags)))
    return found


def parse_blacklist(data: bytes) -> Blacklist:
    """Read kprobes/blacklist.

    Raises:
        FactError: A line is not one of that list.
    """
    ranges = []
    for number, line in _lines(data, "kprobes/blacklist"):
        match = _RANGE.fullmatch(line)
        if match is None:
            raise damaged("kprobes/blacklist", number, line)
        start, end, name, module = match.groups()
        ranges.append(BlacklistedRange(int(start, 16), int(end, 16), name, module))
    return Blacklist(ranges)


def parse_modules(data: bytes) -> dict[str, Module]:
    """Read /proc/modules.

    Raises:
        FactError: A line is not one of that list.
    """
    modules = {}
    for number, line in _lines(data, "/proc/modules"):
        match = _MODULE.fullmatch(line)
        if match is None:
            raise damaged("/proc/modules", number, line)
        name, size, _, _, state, address = match.groups()
        modules[name] = Module(name, int(size), state, int(address, 16) or None)
    return modules


def _lines(data: bytes, what: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(decode(data, what).split("\n"), 1):
        if line:
            yield number, line
