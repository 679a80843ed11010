"""How long the type browser takes to open large structs of this machine: ``python -m tests.benchmarks.types``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from symbols.btf import Btf
from symbols.type_index import TypeIndex
from symbols.type_text import to_text
from symbols.type_tree import TypeTree
from tests.btf_oracles import VMLINUX

RUNS = 7
LARGE = ("task_struct", "tcp_sock", "sk_buff", "net_device", "net", "bio")


def measure(work: Callable[[], object]) -> str:
    """Least / median of some runs, in milliseconds."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return f"{min(times):7.1f} / {statistics.median(times):7.1f} ms"


def main() -> None:
    """Print a table."""
    btf = Btf(VMLINUX.read_bytes())
    index = TypeIndex({None: btf})
    print(f"{'collecting ' + format(len(index), ',') + ' types':32} {measure(lambda: TypeIndex({None: btf}))}")
    index.search("bio", 1)
    print(f"{'a keystroke: t:task_str':32} {measure(lambda: index.search('task_str', 500))}")
    for name in LARGE:
        (named,) = index.find(f"struct {name}")
        rows = len(TypeTree(named, name, "->").rows)
        opened = measure(lambda: TypeTree(named, name, "->"))  # noqa: B023 - called at once
        print(f"{f'{named.text}, {rows} rows':32} {opened}   as text {measure(lambda: to_text(named))}")  # noqa: B023


if __name__ == "__main__":
    main()
