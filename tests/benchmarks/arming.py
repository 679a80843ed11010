"""What the agent adds to the kernel's own time for arming and disarming a probe; by hand, as root where kprobes are.

    kexplore lab -- .venv/bin/python -m tests.benchmarks.arming

For each of a number of functions in turn: the same definition written and enabled barely, and the same through the
agent's requests, in alternating order. Arming is defining and enabling; disarming is disabling (and, for the agent,
emptying the buffers and the final counts); deleting is left out on both sides, as neither waits for it.

A request also wakes two processes. On real hardware that takes 0.2 ms; emulated, where a sleeping processor is slow to
wake, longer than arming: so the time of a request that does nothing is measured too, and the ratio given without it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.agent_driver import Agent, Refused, agent

TRACEFS = Path("/sys/kernel/tracing")
GROUP = "bare"
INSTANCE = TRACEFS / "instances" / GROUP
VALUES: list[dict[str, Any]] = [
    {"register": "di", "dereference": [], "type": "u64"},
    {"register": "si", "dereference": [0], "type": "string"},
]
ARGUMENTS = "comm=$comm v0=%di:u64 v1=+0(%si):string"


def write(path: Path, text: str) -> None:
    """Write as the agent does: appending where it matters, in one write."""
    descriptor = os.open(path, os.O_WRONLY | (os.O_APPEND if path.name == "dynamic_events" else 0))
    os.write(descriptor, text.encode())
    os.close(descriptor)


def functions(count: int) -> list[str]:
    """Functions that nobody calls while we measure, spread over the kernel."""
    names = [line for line in (TRACEFS / "available_filter_functions").read_text().splitlines() if " " not in line]
    quiet = [name for name in names if name.startswith(("ext4_", "jbd2_", "ip6_", "ipv6_", "nfs_", "ipip_", "tcp_v6"))]
    return quiet[:: max(1, len(quiet) // count)][:count]


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def barely(name: str, number: int) -> tuple[float, float]:
    """Arm and disarm by bare writes."""
    switch = INSTANCE / f"events/{GROUP}/e{number}/enable"

    def arm() -> None:
        write(TRACEFS / "dynamic_events", f"p:{GROUP}/e{number} {name} {ARGUMENTS}")
        write(switch, "1")

    return seconds(arm), seconds(lambda: write(switch, "0"))


def through(started: Agent, name: str) -> tuple[float, float]:
    """Arm and disarm through the agent."""
    probes: list[int] = []
    armed = seconds(lambda: probes.append(started.arm(name, values=VALUES)))
    return armed, seconds(lambda: started.disarm(probes[0]))


def nothing(started: Agent) -> float:
    """A request that the agent refuses at once."""

    def ask() -> None:
        with contextlib.suppress(Refused):
            started.disarm(0)

    return seconds(ask)


class Measured(NamedTuple):
    """One function: (arming, disarming) barely and through the agent, and a request that does nothing; in seconds."""

    bare: tuple[float, float]
    ours: tuple[float, float]
    nothing: float


def measure(names: list[str]) -> list[Measured]:
    """Measure with each function."""
    results = []
    INSTANCE.mkdir()
    try:
        with agent() as started:
            started.arm("__x64_sys_getpgid")  # makes the instance; only a session's first probe waits for that
            for number, name in enumerate(names):
                if number % 2:
                    ours = through(started, name)
                    bare = barely(name, number)
                else:
                    bare = barely(name, number)
                    ours = through(started, name)
                results.append(Measured(bare, ours, nothing(started)))
    finally:
        INSTANCE.rmdir()
        write(TRACEFS / "dynamic_events", f"-:{GROUP}/")
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--probes", type=int, default=40)
    results = measure(functions(parser.parse_args().probes))
    bare = [sum(each.bare) for each in results]
    ours = [sum(each.ours) for each in results]
    net = [sum(each.ours) - 2 * each.nothing for each in results]
    print(f"{len(results)} probes armed and disarmed, milliseconds: median, 95th percentile")
    for what, times in (("bare writes", bare), ("the agent", ours), ("an empty request", [r.nothing for r in results])):
        print(
            f"  {what:<17} {1000 * statistics.median(times):7.2f} {1000 * statistics.quantiles(times, n=20)[-1]:7.2f}"
        )
    print(f"ratio of medians {statistics.median(ours) / statistics.median(bare):.2f}", end="; ")
    print(f"without two empty requests {statistics.median(net) / statistics.median(bare):.2f}")


if __name__ == "__main__":
    main()
