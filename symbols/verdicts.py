"""The rules by which a function can be probed or not, and the words for it.

They follow what the kernel checks (kernel/kprobes.c, check_kprobe_address_safe; kernel/trace/trace_kprobe.c,
within_notrace_func), because its own answer is the same EINVAL for most of them.
"""

from __future__ import annotations

import dataclasses

from symbols.errors import KexploreError
from symbols.kallsyms import PSEUDO_MODULES
from symbols.naming import Part, owner_of, part_of
from symbols.symbol import Symbol
from symbols.text_sections import TextSections
from symbols.tracing_lists import TracingLists
from symbols.verdict import Mechanism, Verdict, VerdictKind


@dataclasses.dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one symbol.

    Attributes:
        symbol: The symbol.
        owner: For a part or a variant, the function whose name it carries, if that has a symbol.
        instances: How many symbols the kernel finds under this name.
        sections: Of the kernel itself.
        lists: None as long as they have not been loaded.
    """

    symbol: Symbol
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
    match part_of(symbol.name):
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
    symbol, lists = evidence.symbol, evidence.lists
    if (forbidden := _blacklisted(evidence)) is not None:
        return forbidden
    if lists is None:
        return _no(VerdictKind.UNKNOWN, "the kernel's tracing lists have not been read yet")
    if isinstance(lists.traceable, KexploreError):
        return _no(VerdictKind.UNKNOWN, f"nobody can tell before it is tried: {lists.traceable.message}")
    traced = lists.traceable.count(symbol.name, symbol.module)
    owner_traced = evidence.owner is not None and lists.traceable.count(evidence.owner.name, evidence.owner.module) > 0
    if evidence.instances > 1 and traced:
        return _duplicate(evidence, traced)
    if traced:
        return Verdict(VerdictKind.PROBEABLE, Mechanism.FTRACE, _words(evidence, "ftrace has a call site at its entry"))
    if part_of(symbol.name) is Part.COLD and (owner_traced or lists.notrace_allowed):
        cause = f"the unlikely branches of {owner_of(symbol.name)}: a hit means that one of them was taken"
        return Verdict(VerdictKind.COLD_PART, Mechanism.INT3, _words(evidence, cause))
    if owner_traced or lists.notrace_allowed:
        # within_notrace_func looks at the name before the dot too; an int3 may become a jump (kprobes optimisation).
        cause = "ftrace has no call site in it, so by a breakpoint"
        if evidence.instances > 1:
            return _duplicate(evidence, traced)
        return Verdict(VerdictKind.PROBEABLE, Mechanism.INT3, _words(evidence, cause))
    if lists.notrace_allowed is None:
        refusal = "kernels without CONFIG_KPROBE_EVENTS_ON_NOTRACE refuse it (how this one was built is not known)"
    else:
        refusal = "this kernel, built without CONFIG_KPROBE_EVENTS_ON_NOTRACE, refuses it"
    return _no(VerdictKind.NOTRACE, f"ftrace has no call site in it, and {refusal}")


def _blacklisted(evidence: Evidence) -> Verdict | None:
    """Judge by the blacklist and by the sections that make it up; a part shares the fate of its function."""
    lists = evidence.lists
    for symbol in (evidence.symbol, evidence.owner):
        if symbol is None:
            continue
        whose = "" if symbol is evidence.symbol else f"{symbol.name}, which it belongs to, is "
        if lists is not None and not isinstance(lists.blacklist, KexploreError):
            found = lists.blacklist.find(symbol.address, symbol.name, symbol.module)
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


def _duplicate(evidence: Evidence, traced: int) -> Verdict:
    symbol, count = evidence.symbol, evidence.instances
    if symbol.address is None:
        return _no(VerdictKind.DUPLICATE, f"{count} symbols have this name, and their addresses are hidden from us")
    if not traced:
        mechanism, how = Mechanism.INT3, ""
    elif traced >= count:
        mechanism, how = Mechanism.FTRACE, ""
    else:
        mechanism, how = None, f"; ftrace has {traced} of them, it does not tell which, and the rest may be refused"
    return Verdict(VerdictKind.DUPLICATE, mechanism, f"{count} symbols have this name: this one by its address{how}")


def _words(evidence: Evidence, cause: str) -> str:
    """The cause with what else a person should know before relying on it."""
    words = [cause]
    if part_of(evidence.symbol.name) is Part.VARIANT:
        words.append("a variant that the compiler made, its arguments may differ from the source")
    elif part_of(evidence.symbol.name) is Part.PIECE:
        words.append(f"a piece split off {owner_of(evidence.symbol.name)}")
    if evidence.lists is not None and isinstance(evidence.lists.blacklist, KexploreError):
        words.append("the kprobe blacklist could not be read")
    return "; ".join(words)


def _no(kind: VerdictKind, cause: str) -> Verdict:
    return Verdict(kind, None, cause)
