"""When a prototype from BTF need not be that of the function it is shown for."""

from __future__ import annotations

from collections import Counter

import pytest

from symbols import trust
from symbols.btf import Btf
from symbols.btf_records import VOID_ID
from symbols.catalog import Catalog
from symbols.kallsyms import parse
from symbols.prototype import Prototype, Trust
from symbols.tracing_lists import Blacklist, TraceableFunctions, TracingLists
from tests.btf_builder import BtfBuilder

_TEXT = 0xFFFFFFFF81000000


def kernel(symbols: str, functions: list[str], empty: tuple[str, ...] = (), traced: tuple[str, ...] = ()) -> Catalog:
    """A kernel with these symbols ("t name") and BTF of these functions: ``int f(int a)``, or ``void f(void)``."""
    lines = [
        f"{_TEXT + 0x100 * n:016x} {symbol}" for n, symbol in enumerate(["T _text", "T _stext", *symbols.split(", ")])
    ]
    lines.append(f"{_TEXT + 0x100 * len(lines):016x} T _etext")
    types = BtfBuilder()
    integer = types.integer("int", 4, signed=True)
    for name in functions:
        types.function(name, integer, [("a", integer)])
    for name in empty:
        types.function(name, VOID_ID, [])
    catalog = Catalog(parse(("\n".join(lines) + "\n").encode()), "x86_64")
    catalog.add_btf(Btf(types.build()))
    if traced:
        catalog.add_tracing_lists(TracingLists(TraceableFunctions(Counter(traced)), Blacklist([]), {}))
    return catalog


def prototype(catalog: Catalog, name: str) -> Prototype:
    (symbol,) = catalog.find(name)
    return catalog.prototype(symbol)


@pytest.mark.parametrize(
    ("symbols", "functions", "expected"),
    [
        ("T global, t static", ["global", "static"], Trust.VARIANT),
        ("T global, t static, t clone.isra.0", ["global", "static"], Trust.VARIANT),
        ("T global, t static, t clone, t clone.isra.0", ["global", "static", "clone"], Trust.VARIANT),
        ("T global, t static, t clone.llvm.7", ["global", "static", "clone"], Trust.VARIANT),
        ("T global, t static, t clone.isra.0", ["global", "static", "clone"], Trust.EXACT),
        ("T global, t static, t clone.constprop.0.isra.0", ["global", "static", "clone"], Trust.EXACT),
    ],
)
def test_static_functions_share_names_unless_btf_was_checked(
    symbols: str, functions: list[str], expected: Trust
) -> None:
    """A clone that BTF describes under the name before the dot shows gcc, and a pahole that was told to check."""
    catalog = kernel(symbols, functions)
    assert prototype(catalog, "global").trust is Trust.EXACT
    found = prototype(catalog, "static")
    assert found.trust is expected
    assert found.cause == ("" if expected is Trust.EXACT else trust.NOT_CHECKED)
    assert found.text == "int static(int a)", "the doubtful prototype is shown all the same"


def test_what_takes_and_returns_nothing_may_be_assembly() -> None:
    catalog = kernel("T memcpy, T schedule", [], ("memcpy", "schedule"))
    assert prototype(catalog, "schedule").cause == trust.MAYBE_ASSEMBLY, "nothing is known of ftrace's call sites"
    catalog = kernel("T memcpy, T schedule, T vfs_read", ["vfs_read"], ("memcpy", "schedule"), traced=("schedule",))
    assert prototype(catalog, "schedule").trust is Trust.EXACT
    assert prototype(catalog, "memcpy").trust is Trust.VARIANT
    assert prototype(catalog, "memcpy").cause == trust.MAYBE_ASSEMBLY
    assert prototype(catalog, "vfs_read").trust is Trust.EXACT, "an assembler would not know its arguments"
