"""What BTF alone cannot tell: whether its description of a function is of that very function.

BTF names functions, it does not point at them. Three things have been seen to go wrong, and what speaks against them is
taken from what a kernel shows of itself, not from versions:

* pahole before 1.25 describes, for a name, whichever function of that name it meets first, be it inlined everywhere; so
  does a later one without ``--skip_encoding_btf_inconsistent_proto``. Only static functions share names.
* clang drops and changes arguments of static functions and keeps their names (gcc renames them: ``.isra``).
* Assembly has no prototypes: what assemblers write about it reads ``void f(void)``, whatever it takes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence

from symbols.btf import Btf
from symbols.c_types import TypeKind
from symbols.prototype import Prototype
from symbols.symbol import Symbol

_GCC_CLONES = (".isra.", ".constprop.")
_NEIGHBOURS = 8
"""Descriptions looked at on each side."""
_NEAR = 0x4000
"""Bytes within which the code of a file is looked for; most have less."""

NOT_CHECKED = (
    "a static function, and nothing shows that BTF describes this very one: it may mean another of its name, or what "
    "its arguments were before the compiler changed them"
)
MAYBE_ASSEMBLY = (
    "this is also what BTF says of every function written in assembly, and no call site of ftrace shows that this one "
    "came out of a compiler"
)


def may_be_assembly(prototype: Prototype) -> bool:
    """Whether an assembler would have described it so: it takes nothing and returns nothing."""
    nothing = not prototype.parameters and not prototype.varargs
    return nothing and prototype.return_type.kind is TypeKind.VOID


class Identity:
    """Whether BTF's descriptions of static functions are of the functions that have their names, in one kernel.

    Either the BTF was checked, or the code is gcc's and the description stands, in BTF, among those of functions that
    lie around the symbol in memory. Unless BTF is sorted, the functions of a source file stand together there, as they
    do in memory, and a file has one function of a name.
    """

    def __init__(
        self, kernel: Btf, symbols: Sequence[str], address_of: Callable[[str, str | None], int | None]
    ) -> None:
        """Look through the symbols.

        Args:
            kernel: The kernel's own BTF; those of its modules were most likely made the same way.
            symbols: The names of all symbols.
            address_of: The address of the symbol of a name and module, if there is exactly one.
        """
        self._address_of = address_of
        self._orders: dict[str | None, _Order] = {}
        clones = {name for name in symbols if "." in name and any(mark in name for mark in _GCC_CLONES)}
        self._by_gcc = bool(clones)  # no other compiler gives such names
        # pahole got the option for the check in the release, and gets it by the line of scripts/pahole-flags.sh (since
        # 6.3), that also brought clones described under the name before the dot.
        bases = {clone.partition(".")[0] for clone in clones}.difference(symbols)
        self._checked = any(kernel.functions(base) for base in bases)
        if not self._checked:
            self._orders[None] = _Order(kernel)

    def is_certain(self, symbol: Symbol, btf: Btf) -> bool:
        """Whether a description is of this symbol; ``btf`` is that of its module, or the kernel's."""
        if self._checked:
            return True
        if not self._by_gcc or symbol.address is None:
            return False
        if symbol.module not in self._orders:
            self._orders[symbol.module] = _Order(btf)
        around = (self._address_of(name, symbol.module) for name in self._orders[symbol.module].beside(symbol.name))
        distances = [address - symbol.address for address in around if address is not None]
        return any(0 < d < _NEAR for d in distances) and any(-_NEAR < d < 0 for d in distances)


class _Order:
    """The functions of one BTF in the order in which it describes them."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._names = btf.function_names
        self._ids = array("I", (btf.functions(name)[0] for name in self._names))

    def beside(self, name: str) -> Sequence[str]:
        """Those that are described just before and after a function."""
        place = bisect_left(self._ids, self._btf.functions(name)[0])
        return [*self._names[max(0, place - _NEIGHBOURS) : place], *self._names[place + 1 : place + 1 + _NEIGHBOURS]]
