"""The real program on a terminal while a probed function floods it: how long keys wait, and what it weighs.

    kexplore lab -- .venv/bin/python -m tests.benchmarks.flood_screen

Letters are typed into the search box, in pairs of runs: with the probe armed and nothing calling it, then in the flood.
A key's time ends with the first byte behind the query as it is with that letter; its letters stand in no name in this
order. Emulated, the ratio of the two and the memory mean something, the milliseconds little.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.flood import FUNCTION, flood
from tests.benchmarks.startup import Program, memory_of
from tests.lab.tracing_state import TRACEFS

QUERIES = ("opnat2", "vfsrd", "tcpsndmsg", "schdtck", "mmfalt", "sktalloc")
"""Abbreviations that find something; from the fourth letter on no name holds them."""
_KNOWN = 3
_REST = 0.05
"""Seconds between the answer to a key and the next one: a fast typist's."""


def keys(program: Program) -> Iterator[float]:
    """Seconds from each key to its first effect; without end."""
    while True:
        for query in QUERIES:
            program.type("\x15")
            for length in range(1, len(query) + 1):
                typed = query[:length].encode()
                if length > _KNOWN:
                    yield program.effect(query[length - 1], typed)
                else:
                    program.type(query[length - 1])
                program.take(_REST)


def agent_of(process: int) -> int:
    """The agent that a program has started."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    [agent] = [int(child) for child in children if b"explorer/agent" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return agent


def measure(program: Program, seconds: float) -> tuple[list[float], list[tuple[float, float, float]]]:
    """Type for so long; the keys' times, and seconds, explorer and agent in MB after 2 s and at the end."""
    agent = agent_of(program.process.pid)
    weights: list[tuple[float, float, float]] = []
    waited = []
    begin = time.perf_counter()
    typing = keys(program)
    while (now := time.perf_counter() - begin) < seconds:
        if not weights and now >= 2:
            weights.append((now, memory_of(program.process.pid), memory_of(agent)))
        waited.append(next(typing))
    weights.append((now, memory_of(program.process.pid), memory_of(agent)))
    return waited, weights


def arm(guarded: bool) -> Program:
    """The program with a probe that nobody hits yet."""
    program = Program()
    program.until(b"BTF")
    program.settle()
    program.type(FUNCTION)
    program.until(b"getpgid")
    program.settle()
    program.type("\r ")
    while "kexplore_" not in (TRACEFS / "dynamic_events").read_text():
        program.take(_REST)
    program.settle()
    if not guarded:
        program.type("4b")
        program.until(b"budget")
        program.type("\x15none\r")
        program.until(b"no limit")
    program.type("/")
    program.settle()
    return program


def report(what: str, waited: list[float], quiet: list[float] | None = None) -> None:
    """Print a line."""
    median, p99 = (1000 * value for value in (statistics.median(waited), p99_of(waited)))
    ratio = "" if quiet is None else f"   ratio {statistics.median(waited) / statistics.median(quiet):.2f}"
    ratio += "" if quiet is None else f", p99 {p99_of(waited) / p99_of(quiet):.2f}"
    print(
        f"  {what:<22}{len(waited):4} keys: median {median:6.1f}   p99 {p99:6.1f}   most {1000 * max(waited):6.1f} ms"
        f"{ratio}",
        flush=True,
    )


def p99_of(values: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each flood")
    parser.add_argument("--floods", type=int, default=3, help="with the guard and without it")
    options = parser.parse_args()
    for guarded in (True, False):
        program = arm(guarded)
        print(f"{os.uname().release}, {'the guard as it is by itself' if guarded else 'no guard'}", flush=True)
        quiet, flooded = [], []
        for _ in range(options.floods):
            quiet += measure(program, options.seconds)[0]
            with flood():
                waited, weights = measure(program, options.seconds)
            flooded += waited
            for seconds, explorer, agent in weights:
                print(f"  {seconds:5.1f} s of flood: explorer {explorer:.1f} MB, agent {agent:.1f} MB", flush=True)
        report("nothing calls it", quiet)
        report("in the flood", flooded, quiet)
        program.type("\x1b")
        program.quit()


if __name__ == "__main__":
    main()
