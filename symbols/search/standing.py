"""Which names people mean when several match equally well: known entry points first, machine-made names last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

_ENTRY_POINTS = ("do_sys_", "ksys_", "vfs_")
"""Where system calls do their work; what a person who types half a name most often looks for."""

_GENERATED = ("__sct__", "__sck__", "__probestub_", "__traceiter_", "__bpf_trace_", "__ia32_", "__cfi_", "__pfx_")
"""Made by macros and tools, thousands of them, in step with names that people wrote."""


def _standing(name: str) -> int:
    if name.startswith(_ENTRY_POINTS):
        return 0
    if not name.startswith("_"):
        return 3 if "." in name else 1  # .isra, .constprop, .cold: the compiler's
    return 4 if name.startswith(_GENERATED) else 2


def by_preference(names: Sequence[str]) -> tuple[list[int], list[tuple[int, int]]]:
    """Order names so that of two equal matches the earlier is the better answer.

    By standing, then those of fewer words first (a person leaves out one word rather than two), then shorter ones,
    then by the alphabet.

    Args:
        names: Lower-case names.

    Returns:
        The rows of the names in this order, and for each run of names of equal standing, words and length: where it
        begins, and that length.
    """
    alike: defaultdict[tuple[int, int, int], list[int]] = defaultdict(list)
    for row, name in enumerate(names):
        alike[_standing(name), name.count("_"), len(name)].append(row)
    order: list[int] = []
    runs: list[tuple[int, int]] = []
    # Many small sorts, not one: a sort keeps all other threads of Python waiting until it is done.
    for kin in sorted(alike):
        runs.append((len(order), kin[2]))
        order += sorted(alike[kin], key=names.__getitem__)
    return order, runs
