"""The program on a terminal while a probed function floods it: how long keys wait, and what it weighs.

    kexplore lab -- .venv/bin/python -m tests.benchmarks.flood_screen
    python -m tests.benchmarks.flood_screen --played
    python -m tests.benchmarks.flood_screen --group

The first is the real thing, with and without the guard; emulated, only its ratios and its memory mean something. The
others need no kernel that can be probed: an agent is played, for the second one that sends all that it may, for the
third one that arms and disarms a group as slowly as a kernel does. There milliseconds count.

Letters are typed into the search box, with the probe armed and nothing calling it, then in the flood, by turns. A key's
time ends with the first byte behind the query as it is with that letter; its letters stand in no name in this order.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tests.benchmarks import flood, flooded_program
from tests.benchmarks.startup import Program, memory_of
from tests.lab.tracing_state import TRACEFS

QUERIES = ("opnat2", "vfsrd", "tcpsndmsg", "schdtck", "mmfalt", "sktalloc")
"""Abbreviations that find something; from the fourth letter on no name holds them."""
GROUP = "tcp_*"
_KNOWN = 3
_REST = 0.05
"""Seconds between the answer to a key and the next one: a fast typist's."""
_EARLY = 2.0
"""Seconds into a flood at which memory is looked at first."""

Flood = Callable[[], AbstractContextManager[object]]


def keys(program: Program) -> Iterator[float]:
    """Seconds from each key to its first effect; without end."""
    while True:
        for query in QUERIES:
            program.type("\x15")
            program.take(_REST)
            for length in range(1, len(query) + 1):
                typed = query[:length].encode()
                if length > _KNOWN:
                    yield program.effect(query[length - 1], typed)
                else:
                    program.type(query[length - 1])
                program.take(_REST)


def agents_of(process: int) -> list[int]:
    """The agent that a program has started; nothing where it plays one."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in children if b"explorer/agent" in Path(f"/proc/{child}/cmdline").read_bytes()]


def typed(program: Program, seconds: float) -> tuple[list[float], list[str]]:
    """Type for so long; the keys' times, and what explorer and agent weighed early on and in the end."""
    processes = [program.process.pid, *agents_of(program.process.pid)]
    weights: list[str] = []
    waited: list[float] = []

    def weigh(now: float) -> None:
        weights.append(f"{now:.1f} s: {', '.join(f'{memory_of(process):.1f}' for process in processes)} MB")

    begin = time.perf_counter()
    typing = keys(program)
    while (now := time.perf_counter() - begin) < seconds:
        if not weights and now >= _EARLY:
            weigh(now)
        waited.append(next(typing))
    weigh(now)
    return waited, weights


def armed(guarded: bool) -> Program:
    """The program with a probe that nobody hits yet."""
    program = Program()
    program.until(b"no probe is armed")
    program.type(flood.FUNCTION)
    program.until(b"pt_regs")  # its prototype: it is chosen
    program.type("\r ")
    while "kexplore_" not in (TRACEFS / "dynamic_events").read_text():
        program.take(_REST)
    if not guarded:
        program.type("4b")
        program.until(b"what probes may cost")
        program.type("\x15none")
        program.until(b"no limit")
        program.type("\r")
    program.type("/")
    program.until(b"Clear")  # among the keys of the search box
    program.take(1.0)
    return program


def played() -> tuple[Program, Flood]:
    """The same where an agent is played, and what floods it."""
    program = Program(program=(sys.executable, "-m", flooded_program.__name__))
    program.until(b"no probe is armed")
    program.type(flooded_program.FUNCTION)
    program.until(b"size_t")
    program.type("\r ")
    program.until("→".encode())
    program.type("/")
    program.until(b"Clear")  # among the keys of the search box
    program.take(1.0)

    @contextlib.contextmanager
    def flooded() -> Iterator[None]:
        program.process.send_signal(signal.SIGUSR1)
        try:
            yield
        finally:
            program.process.send_signal(signal.SIGUSR2)

    return program, flooded


def group() -> None:
    """Type before a group is armed, while it is, afterwards, and while it is disarmed; print."""
    program, _ = played()
    print(f"a group of {GROUP}", flush=True)

    def ask(*keys: str) -> None:
        for key in keys:
            program.type(key)
            program.take(_REST)

    _print("one probe", typed(program, 5.0)[0])
    ask("\x15", *GROUP)
    program.take(1.0)
    program.type("\rA")
    program.until(b"to arm")
    program.take(1.0)
    ask("y", "/")
    _print("arming", typed(program, 8.0)[0])
    program.take(10.0)
    _print("armed", typed(program, 5.0)[0])
    ask("\x15", "\x1b", "\t", "\t", "4", "D")
    ask("/")
    _print("disarming", typed(program, 8.0)[0])
    program.quit()


def _print(name: str, values: list[float]) -> None:
    median, p99, most = (1000 * value for value in (statistics.median(values), p99_of(values), max(values)))
    print(f"  {name:<18}{len(values):4} keys: median {median:6.1f}   p99 {p99:6.1f}   most {most:6.1f} ms", flush=True)


def measure(what: str, program: Program, flooded: Flood, floods: int, seconds: float) -> None:
    """Type by turns, print, and end the program."""
    print(what, flush=True)
    quiet: list[float] = []
    waited: list[float] = []
    for _ in range(floods):
        quiet += typed(program, seconds)[0]
        with flooded():
            times, weights = typed(program, seconds)
        waited += times
        print(f"  resident (explorer, agent) {'; '.join(weights)} into the flood", flush=True)
    _print("nothing calls it", quiet)
    _print("in the flood", waited)
    print(
        f"  ratio: median {statistics.median(waited) / statistics.median(quiet):.2f}, "
        f"p99 {p99_of(waited) / p99_of(quiet):.2f}",
        flush=True,
    )
    program.quit()


def p99_of(values: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each flood")
    parser.add_argument("--floods", type=int, default=3)
    parser.add_argument("--played", action="store_true", help="by an agent that is played")
    parser.add_argument("--group", action="store_true", help="the same, and a group of probes instead of a flood")
    options = parser.parse_args()
    if options.group:
        group()
        return
    if options.played:
        measure("500 rows twenty times a second", *played(), options.floods, options.seconds)
        return
    for guarded in (True, False):
        what = f"{os.uname().release}, {'with the guard' if guarded else 'without the guard'}"
        measure(what, armed(guarded), flood.flood, options.floods, options.seconds)


if __name__ == "__main__":
    main()
