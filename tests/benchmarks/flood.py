"""A function called as fast as can be while it is probed: whether the sums are exact, and when the guard acts.

    kexplore lab --bcc -- .venv/bin/python -m tests.benchmarks.flood

The guard's time is that which the flood took for as many calls as were hits when its probe was first switched off, by
the flood's own clock: no record has to survive the flood for that.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from explorer.session.session import ROWS_OUTSTANDING
from tests.agent_driver import agent
from tests.lab.tracing_state import TRACEFS

FUNCTION = "__x64_sys_getpgid"
ENDLESS = """
import os, signal, time
def end(*_):
    print(number, *times, flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
number, times, block = 0, [time.monotonic()], range(100)
while True:
    for _ in block:
        os.getpgid(0)
        number += 1
    times.append(time.monotonic())
"""


class Flooded(NamedTuple):
    """What a flood says of itself at its end.

    Attributes:
        calls: How many it made, or one less.
        times: Seconds of the monotonic clock: when it began, and when each hundred of them was over.
    """

    calls: int
    times: list[float]


@contextlib.contextmanager
def flood() -> Iterator[subprocess.Popen[str]]:
    """Calls without end; ``ended`` says how many."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", ENDLESS], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> Flooded:
    """End a flood."""
    process.terminate()
    assert process.stdout is not None
    calls, *times = process.stdout.read().split()
    return Flooded(int(calls), list(map(float, times)))


def sums(seconds: float) -> None:
    """Every call of a flood accounted for, without a guard."""
    with agent() as started:
        started.ask("budget", rate=None, share=None)
        started.credit(1 << 30)
        answer = started.ask("arm", probe={"symbol": FUNCTION, "kind": "entry"})
        with flood() as process:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                started.next()
            calls = ended(process).calls
        lines = [line.split() for line in (TRACEFS / "kprobe_profile").read_text().splitlines()]
        [(counted, missed)] = [(int(line[1]), int(line[2])) for line in lines if line[0] == answer["event"]]
        hits, _, lost, filtered, not_shown = started.disarm(answer["probe"])
        shown = len(started.rows_of(answer["probe"]))
        exact = hits == counted == shown + not_shown + lost + filtered and calls <= counted + missed <= calls + 1
        print(
            f"sums: the workload made {calls:,} calls or one more, the kernel counted {counted:,} hits, {missed} missed"
        )
        print(f"  {hits:,} hits = {shown:,} shown + {not_shown:,} not shown + {lost:,} lost + {filtered:,} filtered")
        print(f"  {'exact' if exact else 'NOT EXACT'}; {hits / seconds:,.0f} hits a second")
        started.quit()


def guard(engine: str, times: int) -> None:
    """How long a flood goes on before the guard holds it back, with the budget that is there by itself."""
    waited, told = [], []
    with agent(engine=engine) as started:
        if engine == "bpf":
            started.ask("prepare")
        for _ in range(times):
            started.credit(ROWS_OUTSTANDING)
            probe = int(started.ask("arm", probe={"symbol": FUNCTION, "kind": "entry", "engine": engine})["probe"])
            started.wait(lambda: probe in started.guard)  # noqa: B023
            with flood() as process:
                started.wait(lambda: started.guard[probe]["state"] != "running")  # noqa: B023
                word = time.monotonic()
                hits = started.counters[probe][0]
                began, *hundreds = ended(process).times
            waited.append(hundreds[min(hits // 100, len(hundreds) - 1)] - began)
            told.append(word - began)
            started.disarm(probe)
        started.quit()
    print(
        f"guard, {engine}: held back {min(waited):.2f}-{max(waited):.2f} s after a flood's first call, "
        f"told after {min(told):.2f}-{max(told):.2f} s, {times} floods"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each flood")
    seconds = parser.parse_args().seconds
    sums(seconds)
    for engine in ("tracefs", "bpf"):
        guard(engine, 5)


if __name__ == "__main__":
    main()
