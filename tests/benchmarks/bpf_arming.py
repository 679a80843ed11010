"""Attaching and detaching by the bpf engine, of the bare system calls: ``kexplore lab --bcc -- python -m ...``.

Both do the same a hundred times, in turns: the agent by requests, this process by ``perf_event_open``, ``bpf`` and
``close`` with the same program. Nothing may be compiled again, and no descriptor be left.
"""

from __future__ import annotations

import os
import statistics
import time

from explorer.agent import bpf_calls
from explorer.agent.bpf_calls import BpfCalls
from explorer.agent.bpf_program import Compilation
from tests.agent_driver import agent

ROUNDS = 100
SYMBOL = "vfs_read"


def main() -> None:
    """Print both, and the ratios of their medians."""
    machine = os.uname().machine
    unit = bpf_calls.kprobe_unit("/")
    assert unit is not None
    calls, program = BpfCalls(machine), Compilation("/", machine).finish()
    times: dict[str, list[float]] = {"attach": [], "detach": [], "arm": [], "disarm": []}
    with agent(engine="bpf") as started:
        started.ask("budget", rate=None, share=None)
        started.disarm(started.arm(SYMBOL))  # which compiles
        descriptors = len(os.listdir(f"/proc/{started.process.pid}/fd"))
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            event = calls.probe(unit[0], None, SYMBOL, 0)
            link = calls.attach(program.program, event, 0)
            attached = time.perf_counter()
            os.close(event)
            os.close(link)
            detached = time.perf_counter()
            probe = started.arm(SYMBOL)
            armed = time.perf_counter()
            started.disarm(probe)
            disarmed = time.perf_counter()
            for name, seconds in zip(
                times, (attached - begin, detached - attached, armed - detached, disarmed - armed), strict=True
            ):
                times[name].append(seconds)
        left = len(os.listdir(f"/proc/{started.process.pid}/fd")) - descriptors
    for name, all_of_it in times.items():
        print(f"{name:7} least {min(all_of_it) * 1e3:6.1f} ms  median {statistics.median(all_of_it) * 1e3:6.1f} ms")
    for ours, bare in (("arm", "attach"), ("disarm", "detach")):
        print(f"{ours} of {bare}: {statistics.median(times[ours]) / statistics.median(times[bare]):.2f}")
    print(f"descriptors left: {left}")


if __name__ == "__main__":
    main()
