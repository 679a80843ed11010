"""What probes cost, measured on a real kernel: every call is a hit, nothing stays armed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.lab.tracing_state import TRACEFS, tracing_state


def test_every_mechanism_has_a_price_or_a_cause(tmp_path: Path) -> None:
    before = tracing_state()
    command = [sys.executable, "-m", "explorer.cli", "cost", "--json"]
    cache = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=cache)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    costs = {cost["mechanism"]: cost for cost in map(json.loads, done.stdout.splitlines())}
    fprobes = {"fprobe", "fprobe return"} if "f[:" in (TRACEFS / "README").read_text() else set()
    absent = {"fprobe", "fprobe return"} - fprobes
    assert {mechanism for mechanism, cost in costs.items() if cost["cause"]} == absent
    by_bpf = {"bpf", "bpf return", "bpf count"}
    assert set(costs) == {"count", "ftrace", "return", "fprobe", "fprobe return", *by_bpf, "jump", "int3"}
    there = {mechanism: cost for mechanism, cost in costs.items() if mechanism not in absent}
    assert all(cost["hits"] > 0 for cost in there.values())
    # What a mere count costs can drown in the noise of an emulated machine.
    assert all(cost["nanoseconds"] > 0 for mechanism, cost in there.items() if mechanism != "count")
    [kept] = json.loads((tmp_path / "kexplore/cost.json").read_text()).values()
    assert kept["ftrace"] == round(costs["ftrace"]["nanoseconds"])
    assert {name for name, price in kept.items() if price is None} == (
        {"fprobe", "fprobe_returned"} if absent else set()
    )
    assert tracing_state() == before
