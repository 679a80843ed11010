"""The rules by which a function can be probed or not, and the words for it.

They follow what the kernel checks (kernel/kprobes.c, check_kprobe_address_safe; kernel/trace/trace_kprobe.c,
within_notrace_func), because its own answer is the same EINVAL for most of them.
"""

from __future__ import annotations

import dataclasses
import enum

from symbols.errors import KexploreError
from symbols.kallsyms import PSEUDO_MODULES
from symbols.naming import Part, owner_of
from symbols.symbol import Symbol
from symbols.text_sections import TextSections
from symbols.tracing_lists import TraceableFunctions, TracingLists
from symbols.verdict import Mechanism, Verdict, VerdictKind

_ENTRY_BYTES = 16
"""How far behind its entry a function may call ftrace: behind ``endbr64`` or ``bti``, a saved link register, a TOC."""
_JUMP_BYTES = 5
"""What a jump takes on x86, the one of our architectures whose kprobes become jumps (MAX_OPTIMIZED_LENGTH)."""


_USUAL = Verdict(VerdictKind.PROBEABLE, Mechanism.FTRACE, "ftrace has a call site at its entry")
"""The verdict on two of three functions: one object, as there are tens of thousands of them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one symbol.

    Attributes:
        symbol: The symbol.
        part: What its name says that it is.
        owner: For a part or a variant, the function that the kernel finds under the name before the dot, if any.
        instances: How many symbols the kernel finds under this name.
        sections: Of the kernel itself.
        lists: None as long as they have not been loaded.
    """

    symbol: Symbol
    part: Part
    owner: Symbol | None
    instances: int
    sections: TextSections
    lists: TracingLists | None


def judge(evidence: Evidence) -> Verdict:
    """The verdict on a probe at the entry of a symbol."""
    return _not_a_function(evidence) or _outside_text(evidence) or _no_probes(evidence) or _listed(evidence)


def _not_a_function(evidence: Evidence) -> Verdict | None:
    symbol = evidence.symbol
    if not symbol.is_function:
        return _no(VerdictKind.NOT_FUNCTION, f"a variable or a mark (type {symbol.type} in kallsyms), not a function")
    if symbol.module in PSEUDO_MODULES:
        return _no(VerdictKind.STUB, f"code that the kernel made at run time ({symbol.module}): it takes no kprobes")
    match evidence.part:
        case Part.PADDING:
            return _no(VerdictKind.PADDING, f"room for patching before {owner_of(symbol.name)}, never executed as such")
        case Part.STUB:
            return _no(VerdictKind.STUB, "a stub that the kernel rewrites itself: it takes no kprobes")
        case Part.MARK:
            return _no(VerdictKind.NOT_FUNCTION, "the linker's mark of where a section begins or ends")
    return None


def _outside_text(evidence: Evidence) -> Verdict | None:
    symbol, sections = evidence.symbol, evidence.sections
    if symbol.module is not None or symbol.address is None or sections.text is None:
        return None
    if sections.text.start <= symbol.address < sections.text.end:
        return None
    if sections.init is not None and symbol.address >= sections.init.start:
        return _no(VerdictKind.DISCARDED_INIT, "it ran while the kernel started; its memory has been freed since")
    return _no(VerdictKind.NOT_FUNCTION, "it lies outside the kernel's text, where kprobes are not taken")


def _no_probes(evidence: Evidence) -> Verdict | None:
    if evidence.lists is None or not evidence.lists.no_probes:
        return None
    return _no(VerdictKind.KERNEL_CANNOT, evidence.lists.no_probes)


def _listed(evidence: Evidence) -> Verdict:
    lists = evidence.lists
    if (forbidden := _blacklisted(evidence)) is not None:
        return forbidden
    if lists is None:
        return _no(VerdictKind.UNKNOWN, "the kernel's tracing lists have not been read yet")
    if isinstance(lists.traceable, KexploreError):
        return _no(VerdictKind.UNKNOWN, f"nobody can tell before it is tried: {lists.traceable.message}")
    reach = _reach_of_ftrace(evidence.symbol, evidence.instances, lists.traceable)
    if reach is _Reach.ENTRY:
        return _can(evidence, Mechanism.FTRACE, _USUAL.cause)
    if reach is _Reach.SOME_OF_THE_NAME:
        return _can(evidence, None, "ftrace has some of that name and does not tell which, the rest may be refused")
    # within_notrace_func of the kernel looks at the function before the dot, too.
    of_owner = evidence.owner is not None and _reach_of_ftrace(evidence.owner, 1, lists.traceable) is not _Reach.NOTHING
    if reach is _Reach.INSIDE or of_owner or lists.notrace_allowed:
        mechanism, how = _without_call_site(evidence.symbol, lists.no_jumps)
        return _can(evidence, mechanism, how)
    if lists.notrace_allowed is None:
        refusal = "kernels without CONFIG_KPROBE_EVENTS_ON_NOTRACE refuse it (how this one was built is not known)"
    else:
        refusal = "this kernel, built without CONFIG_KPROBE_EVENTS_ON_NOTRACE, refuses it"
    return _no(VerdictKind.NOTRACE, f"ftrace has no call site in it, and {refusal}")


class _Reach(enum.Enum):
    """Where ftrace has a call site in a function."""

    ENTRY = enum.auto()
    INSIDE = enum.auto()
    NOTHING = enum.auto()
    SOME_OF_THE_NAME = enum.auto()
    """In some of those that share its name; the kernel does not tell in which."""


def _reach_of_ftrace(symbol: Symbol, instances: int, traceable: TraceableFunctions) -> _Reach:
    """By the addresses of the call sites where the kernel tells them, else by name."""
    if traceable.sites is not None and symbol.address is not None:
        end = symbol.address + (symbol.size or _ENTRY_BYTES)
        site = traceable.site_in(symbol.address, end)
        if site is None:
            return _Reach.NOTHING
        return _Reach.ENTRY if site < symbol.address + _ENTRY_BYTES else _Reach.INSIDE
    traced = traceable.count(symbol.name, symbol.module)
    if traced == 0:
        return _Reach.NOTHING
    return _Reach.ENTRY if traced >= instances else _Reach.SOME_OF_THE_NAME


def _without_call_site(symbol: Symbol, no_jumps: str) -> tuple[Mechanism, str]:
    """A breakpoint, and whether the kernel can make a jump of it (arch/x86/kernel/kprobes/opt.c, can_optimize)."""
    if no_jumps:
        return Mechanism.INT3, f"ftrace has no call site at its entry, so by a breakpoint: {no_jumps}"
    if symbol.size is not None and symbol.size < _JUMP_BYTES:
        return Mechanism.INT3, "ftrace has no call site at its entry, and it is too short for a jump"
    return Mechanism.JUMP, (
        "ftrace has no call site at its entry, so by a breakpoint, which the kernel soon turns into a jump unless the "
        "instructions there cannot be moved"
    )


def _can(evidence: Evidence, mechanism: Mechanism | None, how: str) -> Verdict:
    """It can be armed: by its name, or by its address where others share the name."""
    symbol, count, part = evidence.symbol, evidence.instances, evidence.part
    if count > 1:
        if symbol.address is None:
            return _no(VerdictKind.DUPLICATE, f"{count} symbols have this name, and their addresses are hidden from us")
        return Verdict(
            VerdictKind.DUPLICATE, mechanism, f"{count} symbols have this name: this one by its address; {how}"
        )
    no_blacklist = evidence.lists is not None and isinstance(evidence.lists.blacklist, KexploreError)
    if part is Part.WHOLE and mechanism is Mechanism.FTRACE and not no_blacklist:
        return _USUAL
    kind, words = VerdictKind.PROBEABLE, [how]
    if part is Part.COLD:
        kind = VerdictKind.COLD_PART
        words.insert(0, f"the unlikely branches of {owner_of(symbol.name)}: a hit means that one of them was taken")
    elif part is Part.VARIANT:
        words.append("a variant that the compiler made, its arguments may differ from the source")
    elif part is Part.PIECE:
        words.append(f"a piece split off {owner_of(symbol.name)}")
    if no_blacklist:
        words.append("the kprobe blacklist could not be read")
    return Verdict(kind, mechanism, "; ".join(words))


def _blacklisted(evidence: Evidence) -> Verdict | None:
    """Judge by the blacklist and by the sections that make it up; a part shares the fate of its function."""
    lists = evidence.lists
    blacklist = None if lists is None or isinstance(lists.blacklist, KexploreError) else lists.blacklist
    for symbol in (evidence.symbol,) if evidence.owner is None else (evidence.symbol, evidence.owner):
        whose = "" if symbol is evidence.symbol else f"{symbol.name}, which it belongs to, is "
        if blacklist is not None:
            found = blacklist.find(symbol.address, symbol.name, symbol.module)
            if found is not None:
                where = f" ({found.start:#x}-{found.end:#x})" if found.end else ""
                return _no(
                    VerdictKind.BLACKLISTED, f"{whose}on the kernel's list of what kprobes must not touch{where}"
                )
        if symbol.address is not None and symbol.module is None:
            section = evidence.sections.unprobeable_at(symbol.address)
            if section is not None:
                where = f"{section.name} ({section.start:#x}-{section.end:#x})"
                return _no(VerdictKind.BLACKLISTED, f"{whose}in {where}, where kprobes are not allowed")
    return None


def _no(kind: VerdictKind, cause: str) -> Verdict:
    return Verdict(kind, None, cause)
