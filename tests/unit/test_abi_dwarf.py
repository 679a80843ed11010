"""Our locations against DWARF at function entry, for every hard case and for random prototypes, x86-64 and aarch64.

The rule is that every disagreement is marked: a location that is called exact must be where DWARF says. DWARF gives no
answer for a parameter that it only describes in the function's own frame (``dwarf_entry``); what follows such a one
shows how much room it took, and tests/unit/test_abi_oracle.py catches it in the act on x86-64.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from symbols.btf import Btf
from symbols.catalog import Catalog
from symbols.kallsyms import parse
from symbols.location import Unknown
from symbols.prototype import Trust
from tests import abi_corpus, dwarf_entry
from tests.dwarf_entry import Entry

HARD_CASES = Path(__file__).parent.parent / "abi_hard_cases"
_LINKED = ["-nostdlib", "-static", "-Wl,-e0", "-Wl,--unresolved-symbols=ignore-all", "-Wl,--build-id=none"]


@dataclasses.dataclass(frozen=True)
class Target:
    """An architecture: the compiler's prefix, and the flags by which kernels of it do without floating point."""

    architecture: str
    compiler: str
    kernel_flags: tuple[str, ...]


X86_64 = Target(
    "x86_64", "x86_64-linux-gnu-gcc", ("-mno-sse", "-mno-mmx", "-mno-80387", "-mpreferred-stack-boundary=3")
)
AARCH64 = Target("aarch64", "aarch64-linux-gnu-gcc", ("-mgeneral-regs-only",))
TARGETS = [pytest.param(target, id=target.architecture) for target in (X86_64, AARCH64)]


class Compiled:
    """A compiled program: what DWARF says of its functions, and a catalog of it, as if it were a kernel."""

    def __init__(
        self, target: Target, directory: Path, sources: list[Path], flags: Sequence[str], btf_by: str = "pahole"
    ) -> None:
        if shutil.which(target.compiler) is None:
            pytest.skip(f"{target.compiler} is not installed (apt-get install {package_of(target.compiler)})")
        if shutil.which("pahole") is None:
            pytest.skip("pahole is not installed (apt-get install dwarves)")
        gcc = [target.compiler, "-std=gnu11", "-O2", "-w", "-Wno-psabi", *flags]
        program, types = directory / "program", directory / "types"
        subprocess.run([*gcc, "-g", *_LINKED, "-o", program, *sources], check=True)
        if btf_by == "pahole":
            subprocess.run(["pahole", f"--btf_encode_detached={types}", "--btf_gen_floats", program], check=True)
            btf = types.read_bytes()
        else:
            subprocess.run([*gcc, "-gbtf", "-c", "-o", types, *sources], check=True)
            with types.open("rb") as stream:
                section = ELFFile(stream).get_section_by_name(".BTF")
                assert section is not None
                btf = section.data()
        symbols = subprocess.run(["nm", "-n", program], check=True, capture_output=True).stdout
        self.entries = dwarf_entry.read(program, target.architecture)
        self.catalog = Catalog(parse(re.sub(rb"(?m)^ .*\n", b"", symbols)), target.architecture)
        self.catalog.add_btf(Btf(btf))


def package_of(compiler: str) -> str:
    """The package that has a compiler."""
    return f"gcc-{compiler.removesuffix('-gcc').replace('x86_64', 'x86-64')}"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One parameter of one function: how far we trust its location, and whether DWARF agrees."""

    function: str
    parameter: str
    trust: Trust
    agrees: bool | None
    """None where DWARF gives no answer for the entry."""


def compare(compiled: Compiled) -> list[Comparison]:
    """Every parameter of every function."""
    found = []
    for name, entries in compiled.entries.items():
        for symbol, entry in zip(compiled.catalog.find(name), entries, strict=True):
            prototype = compiled.catalog.prototype(symbol)
            for parameter in prototype.parameters:
                location = parameter.location
                trust, cause = prototype.trust_in(location)
                assert (trust is Trust.EXACT) == (not cause), "whatever is not exact says why"
                agrees = None
                if not isinstance(location, Unknown) and (place := place_in(entry, parameter.name)) is not None:
                    agrees = dwarf_entry.place_of(location) == place
                found.append(Comparison(name, parameter.name, trust, agrees))
    return found


def place_in(entry: Entry, parameter: str) -> dwarf_entry.Place | None:
    """Where DWARF has a parameter; somewhere else than anywhere if the function has no such parameter any more."""
    return entry.places[parameter] if parameter in entry.places else dwarf_entry.Place(("nowhere",))


def table(comparisons: list[Comparison]) -> str:
    """How many parameters of each trust agree, for the test's output."""
    counts = Counter((comparison.trust, comparison.agrees) for comparison in comparisons)
    lines = [f"{'trust':10}{'agree':>8}{'disagree':>10}{'DWARF silent, or we':>21}"]
    for trust in Trust:
        agree, disagree, silent = (counts[trust, answer] for answer in (True, False, None))
        if agree or disagree or silent:
            lines.append(f"{trust.value:10}{agree:8}{disagree:10}{silent:21}")
    return "\n".join(lines)


@pytest.mark.parametrize("floats", [False, True], ids=["kernel flags", "with floating point"])
@pytest.mark.parametrize("target", TARGETS)
def test_every_hard_case(target: Target, floats: bool, tmp_path: Path) -> None:
    flags = ("-DFLOATS",) if floats else target.kernel_flags
    comparisons = compare(Compiled(target, tmp_path, sorted(HARD_CASES.glob("*.c")), flags))
    print(f"\n{target.architecture}, hard cases:\n{table(comparisons)}")
    assert [c for c in comparisons if c.trust is Trust.EXACT and c.agrees is False] == []
    exact = [c for c in comparisons if c.trust is Trust.EXACT]
    assert len([c for c in exact if c.agrees]) > 0.9 * len(exact), "DWARF answers nearly always"
    assert len(exact) > 0.8 * len(comparisons), "and most of it is certain"
    wrong = {c.function for c in comparisons if c.agrees is False}
    assert "hidden_twin" in wrong, "the corpus has what BTF cannot tell"
    assert wrong & ({"aligned_on_stack"} if target is X86_64 else {"aligned_by_member"})
    if floats:
        assert {c.trust for c in comparisons if c.function == "homogeneous" and c.parameter == "b"} == {Trust.NONE}


@pytest.mark.parametrize("target", TARGETS)
def test_clones(target: Target, tmp_path: Path) -> None:
    """The BTF that gcc writes itself describes clones under the name before the dot, as pahole does since 1.25."""
    compiled = Compiled(target, tmp_path, [HARD_CASES / "cases.c"], target.kernel_flags, btf_by="gcc")
    clones = [comparison for comparison in compare(compiled) if "." in comparison.function]
    print(f"\n{target.architecture}, clones:\n{table(clones)}")
    suffixes = {suffix for comparison in clones for suffix in comparison.function.split(".")[1:]}
    assert {"isra", "constprop", "part"} <= suffixes
    assert {comparison.trust for comparison in clones} == {Trust.VARIANT}
    assert any(comparison.agrees is False for comparison in clones), "arguments did move"


@pytest.mark.parametrize("target", TARGETS)
def test_random_prototypes(target: Target, tmp_path: Path) -> None:
    corpus = abi_corpus.generate(seed=64, types=120, functions=600)
    source = tmp_path / "random.c"
    source.write_text(corpus.definitions())
    comparisons = compare(Compiled(target, tmp_path, [source], target.kernel_flags))
    print(f"\n{target.architecture}, random prototypes:\n{table(comparisons)}")
    assert [c for c in comparisons if c.trust is Trust.EXACT and c.agrees is False] == []
    assert len({c.function for c in comparisons}) > 500
    exact = [c for c in comparisons if c.trust is Trust.EXACT]
    assert len([c for c in exact if c.agrees]) > 0.7 * len(exact)
    assert len(exact) > 0.6 * len(comparisons)
