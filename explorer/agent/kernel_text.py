"""Where the kernel's code is: symbols to addresses and back, as far as the agent itself needs it.

The explorer has the whole list of symbols and knows before it asks. This is the second look: for probes placed by
address, for offsets, and for the cause when the kernel refuses without saying why. The list is read anew each time, as
modules come and go; that costs some 0.1 s.
"""

from __future__ import annotations

import os
import re
from typing import Dict, Iterator, List, NamedTuple, Optional

_BLACKLIST = "sys/kernel/debug/kprobes/blacklist"
_RANGE = re.compile(r"^0x([0-9a-f]+)-0x([0-9a-f]+)\s+(\S+)", re.MULTILINE)
_LINE = re.compile(rb"^([0-9a-f]+) (\S) (\S+)(?:\t\[(\w+)\])?$", re.MULTILINE)
_MODULE_LINE = re.compile(rb"^([0-9a-f]+) (\S) \S+\t\[", re.MULTILINE)
_CODE = "tTwW"
SHADOW_STACK = "fprobe_return"
"""The kernel's function that runs at the returns of fprobes since they are kept on a shadow stack (6.14)."""
MARKS = (
    SHADOW_STACK, "_text", "_stext", "_etext",
    "__start___jump_table", "__stop___jump_table", "__start_static_call_sites", "__stop_static_call_sites",
)  # fmt: skip


class Symbol(NamedTuple):
    """One line of kallsyms; ``end`` is where the next symbol begins, ``module`` is "" for the kernel itself."""

    name: str
    module: str
    start: int
    end: int
    is_code: bool


class Place(NamedTuple):
    """A symbol and the distance from it, in bytes."""

    symbol: Symbol
    offset: int


class Core(NamedTuple):
    """The kernel's own code, from ``start`` up to ``end``; places in it are told from ``base`` (``_text``)."""

    base: int
    start: int
    end: int


class KernelText:
    """The symbols of the machine whose file tree begins at ``root``."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._marks: Dict[str, int] = {}

    def instances(self, name: str, module: str = "") -> List[Symbol]:
        """Every symbol of this name, in this module if one is given; empty where addresses are hidden."""
        return _instances(self._kallsyms(), name, module)

    def at(self, address: int) -> Optional[Place]:
        """The symbol of code that an address lies in; None where there is no code or addresses are hidden."""
        data = self._kallsyms()
        # The kernel's own symbols come first and sorted; those of modules follow, module by module.
        first_module_line = data.rfind(b"\n", 0, max(data.find(b"\t["), 0)) + 1 or len(data)
        best: Optional[Symbol] = _symbol_at(data, _bisect(data, first_module_line, address))
        if best is not None and not (best.is_code and 0 < best.start <= address):
            best = None
        nearest, position = best.start if best else 0, -1
        for match in _MODULE_LINE.finditer(data, first_module_line):
            if match.group(2).decode() in _CODE and nearest < int(match.group(1), 16) <= address:
                nearest, position = int(match.group(1), 16), match.start()
        if position >= 0:
            best = _symbol_at(data, position)
        # The last function before a gap seems to reach to the far side of it; no function is a megabyte long.
        if best is None or address >= min(best.end, best.start + (1 << 20)):
            return None
        return Place(best, address - best.start)

    def core(self) -> Optional[Core]:
        """Where the kernel's own code lies; None when addresses are hidden."""
        base, start, end = (self.mark(name) for name in ("_text", "_stext", "_etext"))
        return None if base is None or start is None or end is None else Core(base, start, end)

    def mark(self, name: str) -> Optional[int]:
        """Where one of ``MARKS`` stands; None when it has no symbol, or when addresses are hidden."""
        if not self._marks:  # none of them moves while the kernel runs
            data = self._kallsyms()
            found = {mark: _instances(data, mark) for mark in MARKS}
            self._marks = {mark: symbols[0].start for mark, symbols in found.items() if symbols}
        return self._marks.get(name)

    def is_discarded(self, address: int) -> bool:
        """Whether it lies in code that the kernel gave up after booting."""
        first, last = self.instances("_sinittext"), self.instances("_einittext")
        return bool(first and last) and first[0].start <= address < last[0].start

    def blacklisted(self, address: int) -> str:
        """The entry of the kprobe blacklist that covers an address: its range and name; "" when there is none."""
        try:
            with open(os.path.join(self._root, _BLACKLIST), encoding="ascii", errors="replace") as listing:
                text = listing.read()
        except OSError:
            return ""  # debugfs is not mounted or locked down: the cause stays open, the refusal stands
        for first, last, name in _RANGE.findall(text):
            if int(first, 16) <= address < int(last, 16):
                return f"0x{first}-0x{last} {name}"
        return ""

    def _kallsyms(self) -> bytes:
        with open(os.path.join(self._root, "proc/kallsyms"), "rb") as listing:
            return listing.read()


def _instances(data: bytes, name: str, module: str = "") -> List[Symbol]:
    found = []
    for ending in (f" {name}\t[{module}]\n",) if module else (f" {name}\n", f" {name}\t["):
        position = data.find(ending.encode())
        while position >= 0:
            symbol = _symbol_at(data, data.rfind(b"\n", 0, position) + 1)
            if symbol.start and symbol.name == name:
                found.append(symbol)
            position = data.find(ending.encode(), position + 1)
    return found


def _bisect(data: bytes, end: int, address: int) -> int:
    """The position of the last line before ``end`` whose address is not beyond the given one; lines are sorted."""
    low, high = 0, end
    while low < high:
        line = data.rfind(b"\n", 0, (low + high) // 2) + 1
        following = data.find(b"\n", line) + 1 or end
        if int(data[line : data.find(b" ", line)], 16) <= address:
            if following >= high:
                return line
            low = following
        else:
            high = line
    return data.rfind(b"\n", 0, max(low - 1, 0)) + 1


def _module_addresses(data: bytes) -> Iterator[int]:
    return (int(match.group(1), 16) for match in _MODULE_LINE.finditer(data))


def _symbol_at(data: bytes, position: int) -> Symbol:
    lines = _LINE.finditer(data, position)
    match = next(lines)
    start = int(match.group(1), 16)
    end = start
    for following in lines:
        end = int(following.group(1), 16)
        if end > start:
            break
    module = match.group(4).decode() if match.group(4) else ""
    if module:  # modules list their symbols in no order
        end = min((there for there in _module_addresses(data) if there > start), default=start)
    return Symbol(match.group(3).decode(), module, start, max(end, start + 1), match.group(2).decode() in _CODE)
