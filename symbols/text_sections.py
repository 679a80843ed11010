"""Where kernel text lies, and which parts of it take no probes: told by the linker's marks in kallsyms."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

_UNPROBEABLE = {
    "entry text": ("__entry_text_start", "__entry_text_end"),
    "noinstr text": ("__noinstr_text_start", "__noinstr_text_end"),
    "kprobes text": ("__kprobes_text_start", "__kprobes_text_end"),
}
"""kernel/kprobes.c, populate_kprobe_blacklist; entry text by each architecture."""

_UNPROBEABLE_BY_ARCHITECTURE = {
    "aarch64": {
        "interrupt entry text": ("__irqentry_text_start", "__irqentry_text_end"),
        "hypervisor text": ("__hyp_text_start", "__hyp_text_end"),
        "identity-mapped text": ("__idmap_text_start", "__idmap_text_end"),
    },
}


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """Text from ``start`` up to, but not including, ``end``."""

    name: str
    start: int
    end: int


@dataclasses.dataclass(frozen=True, slots=True)
class TextSections:
    """The sections of the kernel itself; None or empty where kallsyms has no mark.

    Attributes:
        text: What stays in memory.
        init: Where the text lies that is thrown away after boot; its end is not always marked.
        unprobeable: Sections that take no probes.
    """

    text: Section | None
    init: Section | None
    unprobeable: tuple[Section, ...]

    def unprobeable_at(self, address: int) -> Section | None:
        """The section without probes that an address is in."""
        for section in self.unprobeable:
            if section.start <= address < section.end:
                return section
        return None


def find_sections(architecture: str, address_of: Callable[[str], int | None]) -> TextSections:
    """The sections by their marks.

    Args:
        architecture: As ``uname -m`` prints it.
        address_of: The address of a symbol of the kernel itself, or None.
    """

    def section(name: str, first: str, last: str) -> Section | None:
        start, end = address_of(first), address_of(last)
        return Section(name, start, end) if start is not None and end is not None and start < end else None

    marks = {**_UNPROBEABLE, **_UNPROBEABLE_BY_ARCHITECTURE.get(architecture, {})}
    unprobeable = (section(name, *ends) for name, ends in marks.items())
    init = section("init text", "__init_begin", "__init_end") or section("init text", "_sinittext", "_einittext")
    return TextSections(section("text", "_stext", "_etext"), init, tuple(found for found in unprobeable if found))
