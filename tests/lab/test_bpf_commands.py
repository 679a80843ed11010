"""The commands that only the bpf engine can serve, on a real kernel."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys

from explorer.agent.bpf_calls import release
from explorer.agent.protocol import BPF_MISSED_SINCE
from explorer.session.aggregates import Wanted
from explorer.session.probe import ProbeState
from explorer.session.probe_spec import ProbeSpec
from tests.lab.local_session import local_session
from tests.lab.test_trace_command import OPEN, kexplore, traced

GETPGID = "__x64_sys_getpgid"


def test_stacks_stand_under_each_event_and_lead_back_to_the_system_call() -> None:
    result = kexplore("trace", "--stack", "both", OPEN, "--", "cat", "/etc/hostname")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if '"/etc/hostname"' in line)
    frames = lines[at + 1 : at + 12]
    assert OPEN in frames[0]
    assert any("do_syscall_64" in frame for frame in frames)
    assert any(frame.split()[0].startswith("0x7") for frame in frames), "the process's own, as addresses"
    events, summary, _ = traced("--stack", "kernel", OPEN, "--", "cat", "/etc/hostname")
    [opened] = [event for event in events if event["values"]["filename"]["text"] == "/etc/hostname"]
    assert opened["stacks"]["kernel"][0]["symbol"].startswith(OPEN)
    assert str(summary[OPEN]["engine"]) == "bpf"


def test_calls_are_counted_by_who_makes_them_and_by_their_time() -> None:
    program = "import os\nfor number in range(300): os.getpgid(0)"
    result = kexplore(
        "aggregate",
        "--json",
        "--by",
        "comm",
        GETPGID,
        f"{GETPGID}%call",
        "--",
        sys.executable,
        "-I",
        "-S",
        "-c",
        program,
    )
    assert result.returncode == 0, result.stderr
    counted, timed = map(json.loads, result.stdout.splitlines())
    known = release() >= BPF_MISSED_SINCE
    assert (counted["hits"], counted["lost"], counted["missed"]) == (300, 0, 0 if known else None)
    [key] = counted["keys"]
    assert key["count"] == 300
    [key] = timed["keys"]
    assert (key["count"], timed["unpaired"]) == (300, 0)
    assert 0 < key["p50"] <= key["p95"]


def test_for_a_person_there_is_a_histogram() -> None:
    result = kexplore("aggregate", "vfs_read", "--of", "count", "--", "cat", "/etc/hostname")
    assert result.returncode == 0, result.stderr
    assert "mean" in result.stdout
    assert "131,072" in result.stdout, "what cat asks for"
    assert "0 missed, 0 lost" in result.stderr


async def test_an_armed_probe_counts_in_the_kernel_and_records_again() -> None:
    """What ``h`` and ``r`` do on the screen; until the program is compiled, the probe goes on recording."""
    async with local_session() as session:
        spec = ProbeSpec.parse(GETPGID)
        first = await session.arm(spec)
        assert first.engine == "tracefs"
        wanted = dataclasses.replace(first.options, registers=False, aggregate=Wanted("tid"))
        rearming = asyncio.create_task(session.arming.rearm(spec, wanted))
        while not rearming.done():
            assert session.probes[spec].state is not ProbeState.FAILED
            if not first.counters.hits:
                os.getpgid(0)
            await asyncio.sleep(0.05)
        counting = rearming.result()
        assert first.counters.hits >= 1, "it was armed meanwhile"
        for _ in range(70):
            os.getpgid(0)
        await session.disarm(spec)
        assert counting.aggregate is not None
        mine = {row.key: row.count for row in counting.aggregate.rows()}
        assert (counting.engine, mine[os.getpid()]) == ("bpf", 70)
        counting = await session.arm(spec, registers=False, aggregate=Wanted("tid"))
        again = await session.arming.rearm(spec, dataclasses.replace(counting.options, aggregate=None))
        before = session.journal.last_number
        os.getpgid(0)
        await session.disarm(spec)
        events = session.journal.between(before + 1, 1 << 40)
        assert [event.probe for event in events if event.pid == os.getpid()] == [again]
