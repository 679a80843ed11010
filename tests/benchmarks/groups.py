"""Many probes by one request beside one by one, and how long keys wait meanwhile; by hand, as root where kprobes are.

    kexplore lab -- .venv/bin/python -m tests.benchmarks.groups

The same functions are armed and disarmed through the agent one by one and many at once, and definitions are deleted
one by one and by group; figures of an emulated machine mean something as ratios only. Then the whole program arms and
disarms a group, while its event loop is asked every few milliseconds: what it is late is what a key would wait for.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from explorer.agent.protocol import MOST_AT_ONCE
from explorer.app import KexploreApp
from explorer.session import group_plan, groups
from explorer.session.loading import Stage
from explorer.session.options import Options
from explorer.session.probe_spec import ProbeKind
from explorer.session.session import Session
from explorer.session.target import LocalTarget
from tests.agent_driver import agent
from tests.benchmarks.arming import TRACEFS, functions, write

_VALUES: list[dict[str, Any]] = [{"register": "di", "dereference": [], "type": "u64"}]
_HEARTBEAT = 0.005


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def through_the_agent(names: list[str]) -> list[tuple[str, float, float]]:
    """What it is, and seconds a probe one by one and many at once."""
    with agent() as started:
        started.disarm(started.arm("__x64_sys_getpgid"))  # makes the instance; only a session's first waits for that
        single: list[int] = []
        armed_single = seconds(lambda: single.extend(started.arm(name, values=_VALUES) for name in names))
        disarmed_single = seconds(lambda: [started.disarm(probe) for probe in single])
        started.wait_for_quiet(3.0)  # the definitions are deleted by now, so that those of the next are new as well
        chunks = [names[begin : begin + MOST_AT_ONCE] for begin in range(0, len(names), MOST_AT_ONCE)]
        many: list[list[int]] = []

        def arm(chunk: list[str]) -> list[int]:
            probes = [{"probe": {"symbol": name, "kind": "entry", "values": _VALUES}} for name in chunk]
            return [int(result["probe"]) for result in started.ask("arm_many", probes=probes)["results"]]

        armed_many = seconds(lambda: many.extend(map(arm, chunks)))
        disarmed_many = seconds(lambda: [started.ask("disarm_many", probes=probes) for probes in many])
    return [("arming", armed_single, armed_many), ("disarming", disarmed_single, disarmed_many)]


def deleting(names: list[str]) -> tuple[str, float, float]:
    """As ``through_the_agent``, by bare writes, of events that were never recorded: those are the cheaper ones."""
    times = []
    for group, by_group in (("single", False), ("group", True)):
        for number, name in enumerate(names):
            write(TRACEFS / "dynamic_events", f"p:{group}/{group}{number} {name}")
        begin = time.perf_counter()
        for line in [f"-:{group}/"] if by_group else [f"-:{group}/{group}{n}" for n in range(len(names))]:
            write(TRACEFS / "dynamic_events", line)
        times.append(time.perf_counter() - begin)
    return "deleting", times[0], times[1]


async def late(during: Awaitable[object] | None, least: float = 3.0) -> list[float]:
    """Milliseconds that the event loop was late, each few milliseconds, while something goes on."""
    task = asyncio.ensure_future(during) if during is not None else None
    found = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < least or (task is not None and not task.done()):
        start = time.perf_counter()
        await asyncio.sleep(_HEARTBEAT)
        found.append((time.perf_counter() - start - _HEARTBEAT) * 1000)
    if task is not None:
        task.result()
    return found


async def on_the_screen(probes: int) -> None:
    """Arm and disarm a group in the running program, and print what a key would wait."""
    target = LocalTarget()
    app = KexploreApp(target, [target])
    async with app.run_test(size=(120, 40)):
        while app.session is None or app.session.loading.done != set(Stage):
            await asyncio.sleep(0.1)
        session = app.session
        plan = _plan(session, probes)
        for what, work in (
            ("idle", None),
            ("arming", groups.arm(session, plan, Options(registers=False))),
            ("armed", None),
            ("disarming", groups.disarm(session, plan.name)),
        ):
            begin = time.perf_counter()
            found = await late(work)
            p99 = statistics.quantiles(found, n=100)[98]
            print(
                f"  {what:<10} {time.perf_counter() - begin:6.1f} s   median {statistics.median(found):6.1f}   "
                f"p99 {p99:6.1f}   most {max(found):6.1f} ms late",
                flush=True,
            )
        await app.action_quit()


def _plan(session: Session, probes: int) -> group_plan.GroupPlan:
    assert session.catalog is not None
    symbols = [symbol for name in functions(2 * probes) for symbol in session.catalog.find(name)]
    plan = group_plan.plan(session, "benchmark", symbols, ProbeKind.ENTRY)
    return group_plan.GroupPlan(plan.name, plan.kind, plan.specs[:probes], 0, (), {}, plan.hit_ns)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--probes", type=int, default=100, help="armed one by one and many at once; 0: none")
    parser.add_argument("--screen", type=int, default=500, help="armed in the running program")
    options = parser.parse_args()
    if options.probes:
        names = functions(options.probes)
        print(f"{len(names)} probes, {os.uname().release}; milliseconds a probe: one by one, many at once, ratio")
        for what, single, many in (*through_the_agent(names), deleting(names)):
            print(
                f"  {what:<10} {single * 1000 / len(names):7.2f} {many * 1000 / len(names):7.2f} {many / single:6.2f}"
            )
    print(f"{options.screen} probes in the running program; how late its event loop is", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(on_the_screen(options.screen))


if __name__ == "__main__":
    main()
