"""A function called as fast as can be while it is probed: whether the sums are exact, and when the guard acts.

    kexplore lab -- .venv/bin/python -m tests.benchmarks.flood

The guard's time is that between the first and the last hit before it was held back, by the kernel's own time stamps.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.agent_driver import Agent, agent
from tests.lab.tracing_state import TRACEFS

FUNCTION = "__x64_sys_getpgid"
ENDLESS = """
import os, signal, sys
def end(*_):
    print(number, flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
number = 0
while True:
    os.getpgid(0)
    number += 1
"""


@contextlib.contextmanager
def flood() -> Iterator[subprocess.Popen[str]]:
    """Calls without end; asked to end it says how many, within one."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", ENDLESS], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


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
            process.terminate()
            assert process.stdout is not None
            calls = int(process.stdout.read())
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


def guard(times: int) -> None:
    """How long a flood goes on before the guard holds it back, with the budget that is there by itself."""
    waited = []
    for _ in range(times):
        with agent() as started:
            started.credit(1 << 30)
            probe = int(started.ask("arm", probe={"symbol": FUNCTION, "kind": "entry"})["probe"])
            started.wait(lambda: probe in started.guard)  # noqa: B023
            with flood():
                started.wait(lambda: started.guard[probe]["state"] != "running")  # noqa: B023
            waited.append(flooded(started, probe))
            started.quit()
    print(f"guard: held back {min(waited):.2f}-{max(waited):.2f} s after the first hit, {times} floods")


def flooded(started: Agent, probe: int) -> float:
    """Seconds from a probe's first hit to its last one so far; the newest are shown, and of the first batch all."""
    times: list[int] = [row[1] for row in started.rows_of(probe)]
    return (max(times) - min(times)) / 1e9


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each flood")
    seconds = parser.parse_args().seconds
    sums(seconds)
    guard(5)


if __name__ == "__main__":
    main()
