"""How well and how fast the search finds functions, beside ``fzf --filter`` on the same list; by hand, or `make bench`.

Latency is measured as the user feels it: every query typed letter by letter, each keystroke one search, on the kernel's
own list and on one padded with names of imaginary modules. Beside it stands the processor time, which a busy machine
changes less.
"""

from __future__ import annotations

import argparse
import gc
import platform
import random
import resource
import shutil
import subprocess
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import symbols.kallsyms
from symbols.btf import Btf
from symbols.catalog import Catalog
from symbols.query import FunctionIndex, parse
from symbols.search import SearchIndex
from tests.search_queries import ABBREVIATIONS, Kind, Query, queries, queries_by_name, written_by_people

FIRST_TEN = 10
TERMS = (
    'takes:"struct bio *"', "takes:bio", "returns:int", "args:>6", "returns:errptr", "-returns:void", "is:refused",
    "takes:int args:<3 returns:errptr", "vfs takes:file -returns:int", "-takes:file read", "is:variant", "mod:*",
)  # fmt: skip
TEXT_TYPES = frozenset("tTwW")


def text_symbols(kallsyms: Path) -> tuple[int, list[str]]:
    """The number of text symbols, and the names that a user sees: without padding, each once."""
    lines = [line.split(None, 3) for line in kallsyms.read_text().splitlines()]
    names = [line[2] for line in lines if line[1] in TEXT_TYPES]
    return len(names), list(dict.fromkeys(name for name in names if not name.startswith("__pfx_")))


def imaginary(names: Sequence[str], count: int, seed: int) -> list[str]:
    """``count`` more names, as modules would bring them: a module's word before, another word changed."""
    chance = random.Random(seed)
    words = sorted({word for name in names for word in name.split("_") if word})
    made: set[str] = set()
    present = set(names)
    while len(made) < count:
        parts = chance.choice(names).split("_")
        parts[chance.randrange(len(parts))] = chance.choice(words)
        name = "_".join([chance.choice(words), *parts] if chance.random() < 0.5 else parts)[:63]
        if name not in present:
            made.add(name)
    return sorted(made)


def recall(found: Callable[[str], Sequence[str]], asked: Sequence[Query]) -> tuple[float, float]:
    """Per cent of the queries whose name comes first, and comes among the first ten."""
    first = among_ten = 0
    for query in asked:
        names = found(query.text)[:FIRST_TEN]
        first += bool(names) and names[0] == query.expected
        among_ten += query.expected in names
    return 100 * first / len(asked), 100 * among_ten / len(asked)


def fzf(names: Sequence[str]) -> Callable[[str], Sequence[str]]:
    """The names as ``fzf --filter`` ranks them."""
    listing = "\n".join(names)

    def found(query: str) -> Sequence[str]:
        done = subprocess.run(["fzf", "--filter", query], input=listing, capture_output=True, text=True, check=False)
        return done.stdout.splitlines()[:FIRST_TEN]

    return found


def print_recall(names: Sequence[str], index: SearchIndex, arguments: argparse.Namespace) -> None:
    """The table of recall, a line a kind of query."""
    pool = names if arguments.all_names else written_by_people(names)
    asked = queries(pool, arguments.queries, arguments.seed)
    print(f"\nrecall, per cent first / among the first ten: {sum(map(len, asked.values())):,} queries,", end=" ")
    print(f"seed {arguments.seed}, made from {len(pool):,} names")
    print(f"  {'':30}{'wanted':>12}{'kexplore':>16}{'fzf':>16}")
    peer = fzf(names) if shutil.which("fzf") and not arguments.no_fzf else None

    def found(text: str) -> Sequence[str]:
        return [names[row] for row in index.search(text, FIRST_TEN).rows]

    for kind in Kind:
        ours = recall(found, asked[kind])
        theirs = recall(peer, asked[kind]) if peer else None
        line = f"  {kind.title:30}{kind.first:>7} /{kind.among_ten:>3}{ours[0]:>9.1f} /{ours[1]:>5.1f}"
        print(line + (f"{theirs[0]:>9.1f} /{theirs[1]:>5.1f}" if theirs else f"{'-':>16}"), flush=True)
    print("  the same when each name, not each text, is as likely as any other:")
    print(f"  {'':30}{'possible':>12}{'kexplore':>16}")
    for kind in ABBREVIATIONS:
        by_name, first, among_ten = queries_by_name(kind, pool, arguments.queries, arguments.seed)
        ours = recall(found, by_name)
        print(f"  {kind.title:30}{first:>7.1f} /{among_ten:>5.1f}{ours[0]:>7.1f} /{ours[1]:>5.1f}", flush=True)


def print_terms(kallsyms: Path, btf: Path, limit: float) -> None:
    """Queries with terms, over the prototypes of this kernel and its modules."""
    catalog = Catalog(symbols.kallsyms.parse(kallsyms.read_bytes()), platform.machine())
    base = Btf((btf / "vmlinux").read_bytes())
    for module in btf.iterdir():
        catalog.add_btf(base if module.name == "vmlinux" else Btf(module.read_bytes(), base),
                        None if module.name == "vmlinux" else module.name)  # fmt: skip
    index = SearchIndex(catalog.names)
    gc.collect()
    tracemalloc.start()
    functions = FunctionIndex(catalog, index.order)
    functions.add_types()
    functions.add_verdicts()
    memory, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    begin = time.thread_time()
    functions.add_types()
    types = time.thread_time() - begin
    functions.add_verdicts()
    verdicts = time.thread_time() - begin - types
    print(f"terms: {len(catalog.names):,} functions, processor time {1000 * types:.0f} ms for types,", end=" ")
    print(f"{1000 * verdicts:.0f} ms for verdicts; {memory / 1e6:.1f} MB, {peak / 1e6:.1f} MB while it is built")
    slowest = []
    for text in TERMS:
        elapsed = []
        for _ in range(20):
            begin = time.perf_counter()
            query = parse(text)
            result = index.search(query.words, 500, among=functions.select(query.terms).places)
            elapsed.append(1000 * (time.perf_counter() - begin))
        slowest.append(max(elapsed))
        print(f"  {text:44}{result.total:>8,} found   {figures(elapsed)}")
    print(f"  the slowest answer of all: {max(slowest):.1f} ms (wanted: under {limit:.0f})", flush=True)


def print_latency(title: str, names: Sequence[str], index: SearchIndex, arguments: argparse.Namespace) -> None:
    """Type queries of all kinds letter by letter."""
    asked = queries(written_by_people(names), arguments.typed, arguments.seed + 1)
    keystrokes = [
        query.text[:end] for each in asked.values() for query in each for end in range(1, len(query.text) + 1)
    ]
    elapsed, worked = [], []
    for text in keystrokes:
        begin, begin_work = time.perf_counter(), time.thread_time()
        index.search(text)
        worked.append(1000 * (time.thread_time() - begin_work))
        elapsed.append(1000 * (time.perf_counter() - begin))
    print(
        f"{title}: {len(keystrokes):,} keystrokes: {figures(elapsed)}; of this processor time {figures(worked)}",
        flush=True,
    )


def figures(milliseconds: Sequence[float]) -> str:
    """Percentiles, for reading."""
    ranked = sorted(milliseconds)
    parts = [f"p{percent} {ranked[len(ranked) * percent // 100]:.1f}" for percent in (50, 95, 99)]
    return f"{', '.join(parts)}, max {ranked[-1]:.1f} ms"


def built(title: str, names: Sequence[str]) -> SearchIndex:
    """An index, its price told."""
    begin = time.perf_counter()
    index = SearchIndex(names)
    seconds = time.perf_counter() - begin
    del index
    gc.collect()
    tracemalloc.start()
    index = SearchIndex(names)
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"{title}: {len(names):,} names indexed in {1000 * seconds:.0f} ms;", end=" ")
    print(f"{now / 1e6:.1f} MB, {peak / 1e6:.1f} MB while it is built", flush=True)
    return index


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kallsyms", type=Path, default=Path("/proc/kallsyms"))
    parser.add_argument("--btf", type=Path, default=Path("/sys/kernel/btf"), help="the types of the same kernel")
    parser.add_argument("--queries", type=int, default=400, metavar="N", help="per kind, for recall")
    parser.add_argument("--no-fzf", action="store_true", help="do not ask fzf the same; it takes most of the time")
    parser.add_argument("--typed", type=int, default=25, metavar="N", help="per kind, typed letter by letter")
    parser.add_argument("--all-names", action="store_true", help="ask for machine-made names too")
    parser.add_argument("--lines", type=int, default=250_000, metavar="N", help="length of the padded list")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    if arguments.btf.exists():
        print_terms(arguments.kallsyms, arguments.btf, limit=50)
    lines, names = text_symbols(arguments.kallsyms)
    wanted = arguments.lines * len(names) // lines
    padded = [*names, *imaginary(names, wanted - len(names), arguments.seed)]
    for title, listed in (f"{lines:,} lines", names), (f"{arguments.lines:,} lines", padded):
        index = built(title, listed)
        print_latency(title, listed, index, arguments)
        if listed is names:
            print_recall(names, index, arguments)
            print()
        del index
    print(
        f"largest resident size: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB, the lists included"
    )


if __name__ == "__main__":
    main()
