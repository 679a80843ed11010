"""When a prototype from BTF need not be that of the function it is shown for."""

from __future__ import annotations

import pytest

from explorer.commands.show import to_text
from explorer.commands.trace import tell_trust
from explorer.session.probe import Probe, plan_reads
from explorer.session.probe_spec import ProbeSpec
from symbols import trust
from symbols.btf import Btf
from symbols.btf_records import VOID_ID
from symbols.catalog import Catalog
from symbols.kallsyms import parse
from symbols.prototype import Prototype, Trust
from symbols.prototypes import from_btf
from symbols.symbol import Instance, Symbol
from symbols.tracing_lists import Blacklist, TraceableFunctions, TracingLists
from symbols.verdict import Verdict, VerdictKind
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
        catalog.add_tracing_lists(TracingLists(TraceableFunctions(name.encode() for name in traced), Blacklist([]), {}))
    return catalog


def prototype(catalog: Catalog, name: str) -> Prototype:
    (symbol,) = catalog.find(name)
    return catalog.prototype(symbol)


@pytest.mark.parametrize(
    ("symbols", "functions", "expected"),
    [
        ("T global, t static", ["global", "static"], Trust.VARIANT),
        ("T global, t static, t clone.isra.0", ["global", "static"], Trust.VARIANT),
        ("T global, t clone, t clone.isra.0, t static", ["global", "static", "clone"], Trust.VARIANT),
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


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        ("T before, t static, T after, t clone.isra.0", Trust.EXACT),
        ("T before, t static, T after, t clone.llvm.7", Trust.VARIANT),
        ("T after, T before, t static, t clone.isra.0", Trust.VARIANT),
        ("T before, t static, t after, t after, t clone.isra.0", Trust.VARIANT),
    ],
)
def test_a_description_among_those_of_the_functions_around_is_of_that_function(symbols: str, expected: Trust) -> None:
    """Not where the compiler may be clang, nor between functions that lie elsewhere, or nobody knows where."""
    catalog = kernel(symbols, ["before", "static", "after"])
    assert prototype(catalog, "static").trust is expected


def test_a_description_far_from_its_neighbours_is_doubted() -> None:
    fillers = [f"filler{number}" for number in range(100)]
    symbols = ", ".join(["t static", *(f"T {name}" for name in fillers), "t clone.constprop.0"])
    assert prototype(kernel(f"T first, {symbols}", [*fillers, "first", "static"]), "static").trust is Trust.VARIANT
    assert prototype(kernel(f"T first, {symbols}", ["first", "static", *fillers]), "static").trust is Trust.EXACT


def test_what_takes_and_returns_nothing_may_be_assembly() -> None:
    catalog = kernel("T memcpy, T schedule", [], ("memcpy", "schedule"))
    assert prototype(catalog, "schedule").cause == trust.MAYBE_ASSEMBLY, "nothing is known of ftrace's call sites"
    catalog = kernel("T memcpy, T schedule, T vfs_read", ["vfs_read"], ("memcpy", "schedule"), traced=("schedule",))
    assert prototype(catalog, "schedule").trust is Trust.EXACT
    assert prototype(catalog, "memcpy").trust is Trust.VARIANT
    assert prototype(catalog, "memcpy").cause == trust.MAYBE_ASSEMBLY
    assert prototype(catalog, "vfs_read").trust is Trust.EXACT, "an assembler would not know its arguments"


def test_the_command_line_marks_what_is_not_certain(capsys: pytest.CaptureFixture[str]) -> None:
    types = BtfBuilder()
    long, byte = types.integer("long", 8, signed=True), types.integer("char", 1)
    pair = types.struct("pair", 16, [("a", long, 0), ("b", long, 64)])
    parameters = [("c", byte), *((f"w{number}", long) for number in range(6)), ("pair", pair)]
    types.function("likely", VOID_ID, parameters)
    btf = Btf(types.build())
    found, clone = (from_btf(btf, "x86_64", name) for name in ("likely", "likely.isra.0"))
    symbol = Symbol(0, "likely", _TEXT, 16, "T", None)
    verdict = Verdict(VerdictKind.UNKNOWN, None, "")
    text = to_text(Instance(symbol, None, None), found, verdict, "")
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert "di (low 1 byte)" in lines["c"]
    assert "sp+0x10?: an alignment given by attribute" in lines["pair"]

    spec = ProbeSpec.parse("likely")
    tell_trust(Probe(spec, found, plan_reads(spec, found)[0]))
    assert "likely: pair is not certain: an alignment given by attribute" in capsys.readouterr().err
    spec = ProbeSpec.parse("likely%return")
    tell_trust(Probe(spec, found, plan_reads(spec, found)[0]))
    assert capsys.readouterr().err == "", "what an argument carries does not matter at return"
    spec = ProbeSpec.parse("likely.isra.0")
    tell_trust(Probe(spec, clone, plan_reads(spec, clone)[0]))
    assert "likely.isra.0: the prototype is not certain (variant)" in capsys.readouterr().err
