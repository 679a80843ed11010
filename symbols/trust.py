"""What BTF alone cannot tell: whether its description of a function is of that very function.

BTF names functions, it does not point at them. Three things have been seen to go wrong, and all are taken from what a
kernel shows of itself rather than from versions:

* pahole before 1.25 describes, for a name, whichever function of that name it meets first, be it inlined everywhere; so
  does a later one without ``--skip_encoding_btf_inconsistent_proto``. Only static functions share names.
* clang drops and changes arguments of static functions and keeps their names (gcc renames them: ``.isra``).
* Assembly has no prototypes: what assemblers write about it reads ``void f(void)``, whatever it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from symbols.btf import Btf
from symbols.c_types import TypeKind
from symbols.prototype import Prototype

_GCC_CLONES = (".isra.", ".constprop.")

NOT_CHECKED = (
    "a static function, and nothing shows that this kernel's BTF was checked against its code: it may describe "
    "another function of this name, or arguments that the compiler changed since"
)
MAYBE_ASSEMBLY = (
    "this is also what BTF says of every function written in assembly, and no call site of ftrace shows that this one "
    "came out of a compiler"
)


def was_checked(btf: Btf, names: Iterable[str], exists: Callable[[str], bool]) -> bool:
    """Whether the kernel was compiled by gcc, and its BTF written with the check for functions that may be mistaken.

    The option for that check came in the same release (pahole 1.25), and is given by the same line of the kernel's
    scripts/pahole-flags.sh (since 6.3), as the one that describes gcc's clones under the names before the dot. So a
    function that has a description, and no symbol but a clone's, shows both.

    Args:
        btf: The kernel's own.
        names: Of all symbols.
        exists: Whether there is a symbol of exactly this name.
    """
    clones = (name.partition(".")[0] for name in names if "." in name and any(mark in name for mark in _GCC_CLONES))
    return any(btf.functions(base) and not exists(base) for base in clones)


def may_be_assembly(prototype: Prototype) -> bool:
    """Whether an assembler would have described it so: it takes nothing and returns nothing."""
    nothing = not prototype.parameters and not prototype.varargs
    return nothing and prototype.return_type.kind is TypeKind.VOID
