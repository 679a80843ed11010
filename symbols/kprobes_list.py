"""debugfs' kprobes/list: every kprobe of the machine at this moment, by whomever."""

from __future__ import annotations

import dataclasses
import re

from symbols.list_text import damaged, decode

_FLAG = re.compile(r"\[(GONE|DISABLED|OPTIMIZED|FTRACE)\]")
_ADDRESS = re.compile(r"[0-9a-f]{1,16}")


@dataclasses.dataclass(frozen=True, slots=True)
class Kprobe:
    """One of them.

    Attributes:
        address: Where; 0 when the kernel hides addresses.
        place: The same as ``symbol+0x…``.
        flags: ``GONE``, ``DISABLED``, ``OPTIMIZED`` (a jump stands in the code), ``FTRACE`` (ftrace calls it).
    """

    address: int
    place: str
    flags: frozenset[str]


def parse_kprobes(data: bytes) -> list[Kprobe]:
    """Read kprobes/list (kernel/kprobes.c, report_probe).

    Raises:
        FactError: A line is not one of that list.
    """
    found = []
    for number, line in enumerate(decode(data, "kprobes/list").split("\n"), 1):
        words = line.split(maxsplit=3)  # address, kind, place; then perhaps the module, and the flags
        if not words:
            continue
        if len(words) < 3 or not _ADDRESS.fullmatch(words[0]):
            raise damaged("kprobes/list", number, line)
        found.append(Kprobe(int(words[0], 16), words[2], frozenset(_FLAG.findall("".join(words[3:])))))
    return found
