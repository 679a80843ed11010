"""What a symbol's name alone tells: a whole function, a compiler's variant, a part of one, padding, a section mark."""

from __future__ import annotations

import enum


class Part(enum.Enum):
    """What a text symbol is, judged by its name."""

    WHOLE = "function"
    VARIANT = "variant"
    """A clone of a function whose arguments may have changed: ``.isra.N``, ``.constprop.N``."""
    PIECE = "piece"
    """A piece that was split off and is called by what is left: ``.part.N``."""
    COLD = "cold part"
    """The unlikely branches of a function, moved out of its way: ``.cold``."""
    PADDING = "padding"
    """Room before a function for patching: ``__pfx_``, ``__cfi_``."""
    STUB = "stub"
    """Code that the kernel writes itself: static call trampolines and the like."""
    MARK = "section mark"
    """The linker's mark of where a section begins or ends."""


_PADDING = ("__pfx_", "__cfi_")
_STUBS = ("__SCT__", "__initstub__", "__ftrace_invalid_address___")
_PREFIXES = (*_PADDING, *_STUBS)
_PIECES = {"part"}
SECTION_MARKS = frozenset({
    "_text", "_stext", "_etext", "__pi__text", "_sinittext", "_einittext", "__init_begin", "__init_end",
    "__inittext_begin", "__inittext_end", "__exittext_begin", "__exittext_end",
    "__entry_text_start", "__entry_text_end", "__noinstr_text_start", "__noinstr_text_end",
    "__kprobes_text_start", "__kprobes_text_end", "__irqentry_text_start", "__irqentry_text_end",
    "__softirqentry_text_start", "__softirqentry_text_end", "__sched_text_start", "__sched_text_end",
    "__lock_text_start", "__lock_text_end", "__cpuidle_text_start", "__cpuidle_text_end",
    "__static_call_text_start", "__static_call_text_end", "__hyp_text_start", "__hyp_text_end",
    "__indirect_thunk_start", "__indirect_thunk_end",
})  # fmt: skip
"""Names of include/asm-generic/vmlinux.lds.h and its kin."""


def is_plain(name: str) -> bool:
    """Whether nothing in the name asks for a closer look, so that it is a whole function; quick, for long lists."""
    return name[:1] != "_" and "." not in name


def part_of(name: str) -> Part:
    """What the name says."""
    if name[:1] == "_":
        if name.startswith(_PREFIXES):
            return Part.PADDING if name.startswith(_PADDING) else Part.STUB
        if name in SECTION_MARKS:
            return Part.MARK
    if "." not in name:
        return Part.WHOLE
    base, _, suffixes = name.partition(".")
    if not base:
        return Part.WHOLE
    words = set(suffixes.split("."))
    if "cold" in words:
        return Part.COLD
    return Part.VARIANT if words.isdisjoint(_PIECES) else Part.PIECE


def owner_of(name: str) -> str:
    """The function that a part belongs to: ``foo`` of ``foo.part.0``, ``__pfx_foo`` and ``__SCT__foo``."""
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name.partition(".")[0] or name
