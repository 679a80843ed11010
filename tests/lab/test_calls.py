"""Whole calls on a real kernel: every pair is right, known latencies come out, and what is missed is told."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from explorer.session.calls import Calls
from explorer.session.events import Event
from explorer.session.probe import Probe
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.session import Session
from tests.lab.local_session import local_session
from tests.lab.tracing_state import DEADLINE


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    async with local_session(rows_outstanding=4000) as session:
        yield session


@pytest.fixture(params=["tracefs", "bpf"])
async def by_either_engine(request: pytest.FixtureRequest) -> AsyncIterator[Session]:
    async with local_session(rows_outstanding=4000) as session:
        session.arming.planning.engine = request.param
        yield session
        assert {part.engine for probe in session.probes.values() for part in probe.parts} <= {request.param}


async def arm(session: Session, symbol: str, **options: Any) -> Probe:
    return await session.arm(ProbeSpec(symbol, kind=ProbeKind.CALL), registers=False, **options)


def calls_of(probe: Probe) -> Calls:
    assert probe.calls is not None
    return probe.calls


def own(session: Session, pid: int | None = None) -> list[Event]:
    """The calls of a process, this one unless said otherwise."""
    return [event for event in session.journal.between(1, 1 << 40) if event.pid == (pid or os.getpid())]


def value(session: Session, event: Event, name: str) -> Any:
    [found] = [value for value in session.describe(event) if value.name == name]
    return found.raw if found.string is None else found.string


def latency(event: Event) -> int:
    assert event.call is not None
    assert event.call.latency is not None
    return event.call.latency


async def test_arguments_stand_beside_the_result_and_a_sleep_takes_as_long_as_it_should(
    by_either_engine: Session, tmp_path: Path
) -> None:
    session = by_either_engine
    file = tmp_path / "file"
    file.write_text("0123456789")
    opened = await arm(session, "do_sys_openat2")
    await arm(session, "vfs_read")
    slept = await arm(session, "do_nanosleep")
    descriptor = os.open(file, os.O_RDONLY)
    assert [os.read(descriptor, size) for size in (4, 100, 9)] == [b"0123", b"456789", b""]
    os.close(descriptor)
    for _ in range(3):
        await asyncio.to_thread(subprocess.run, ["sleep", "0.05"], check=True)
    for probe in (opened, slept):
        await session.disarm(probe.spec)
    await session.disarm(ProbeSpec("vfs_read", kind=ProbeKind.CALL))
    [mine] = [
        event for event in own(session) if event.probe is opened and value(session, event, "filename") == str(file)
    ]
    assert value(session, mine, "return") == descriptor
    reads = [event for event in own(session) if event.probe.spec.symbol == "vfs_read"]
    counted = [(value(session, event, "count"), value(session, event, "return")) for event in reads]
    assert [pair for pair in counted if pair[0] in (4, 100, 9)] == [(4, 4), (100, 6), (9, 0)]
    sleeps = [
        latency(event)
        for event in session.journal.between(1, 1 << 40)
        if event.comm == "sleep" and event.probe is slept
    ]
    assert len(sleeps) == 3
    assert all(50_000_000 <= each < 5_000_000_000 for each in sleeps), sleeps
    longest = calls_of(slept).latencies.longest
    assert longest >= max(sleeps)


THREADS = """
import os, sys, threading
zero = os.open("/dev/zero", os.O_RDONLY)
def run(number):
    for round in range(int(sys.argv[1])):
        os.read(zero, 1 + round * 8 + number)
threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
"""Each read asks for another number of bytes, and gets it."""


async def read_by_threads(session: Session, reads: int) -> tuple[Probe, list[Event]]:
    """The reads of eight threads, so many each, as calls."""
    await session.request("budget", rate=None, share=None)
    probe = await arm(session, "vfs_read")
    process = await asyncio.create_subprocess_exec(sys.executable, "-I", "-S", "-c", THREADS, str(reads))
    assert await process.wait() == 0
    await session.disarm(probe.spec)
    others = {os.getpid(), process.pid}  # of a thread that is gone, the process need not be known
    ours = os.path.basename(sys.executable)[:15]
    events = [e for e in session.journal.between(1, 1 << 40) if e.comm == ours and e.tid not in others]
    events = [event for event in events if event.pid in (process.pid, None)]
    whole = [event for event in events if event.call is not None and event.call.latency is not None]
    assert all(value(session, event, "count") == value(session, event, "return") for event in whole)
    return probe, events


async def test_threads_are_kept_apart_to_the_last_call(by_either_engine: Session) -> None:
    session = by_either_engine
    probe, events = await read_by_threads(session, 100)
    assert len(events) == 8 * 100
    assert len({event.tid for event in events}) == 8
    assert all(latency(event) > 0 for event in events)
    figures = calls_of(probe).figures()
    assert (figures["no_return"], figures["not_paired_across_gaps"]) == (0, 0)


async def test_where_most_cannot_be_shown_no_pair_is_wrong(session: Session) -> None:
    probe, events = await read_by_threads(session, 2000)
    assert probe.counters.not_shown > 0
    figures = calls_of(probe).figures()
    assert figures["not_paired_across_gaps"] > 0
    assert len(events) <= figures["seen_whole"] + figures["no_return"] + figures["under_way"]


async def test_a_recursion_has_its_depths(by_either_engine: Session) -> None:
    """Adding an epoll to an epoll looks for loops in all that are in it, by a function that calls itself."""
    session = by_either_engine
    probe = await arm(session, "ep_loop_check_proc")
    polls = [select.epoll() for _ in range(4)]
    for outer, inner in itertools.pairwise(polls):
        inner.register(outer.fileno(), select.EPOLLIN)
    for poll in polls:
        poll.close()
    await session.disarm(probe.spec)
    depths = [event.call.depth for event in own(session) if event.call is not None]
    assert depths == [1, 2, 1, 3, 2, 1], "each is told when it returns"
    deepest, middle, first = own(session)[3:]
    for inside, around in ((deepest, middle), (middle, first)):
        assert inside.call is not None
        assert around.call is not None
        assert around.call.entered < inside.call.entered <= inside.time < around.time


async def test_what_never_returns_is_told(session: Session) -> None:
    probe = await arm(session, "do_exit")
    await asyncio.to_thread(subprocess.run, ["true"], check=True)
    await session.disarm(probe.spec)
    [event] = [event for event in session.journal.between(1, 1 << 40) if event.comm == "true"]
    assert event.call is not None
    assert (event.call.latency, event.call.cause) == (None, "no return so far")
    assert value(session, event, "code") == 0


SLEEPERS = 6


async def test_missed_returns_shift_nothing_and_raise_the_alarm(session: Session) -> None:
    probe = await arm(session, "do_nanosleep", maxactive=1)
    sleepers = [await asyncio.create_subprocess_exec("sleep", "0.3") for _ in range(SLEEPERS)]
    for sleeper in sleepers:
        await sleeper.wait()
    end = time.monotonic() + DEADLINE
    while probe.alarm is None:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)
    assert "returns missed" in probe.alarm.what
    assert "than the 1 that the kernel follows" in probe.alarm.why
    again = await session.arming.rearm(probe.spec, dataclasses.replace(probe.options, maxactive=probe.alarm.maxactive))
    assert (again.maxactive, again.alarm) == (8, None)
    await session.disarm(again.spec)
    entry, returns = probe.parts
    figures = calls_of(probe).figures()
    assert returns.counters.missed == entry.counters.hits - returns.counters.hits > 0
    assert figures["seen_whole"] == returns.counters.hits
    slept = [event for event in session.journal.between(1, 1 << 40) if event.comm == "sleep" and event.call is not None]
    whole = [latency(event) for event in slept if event.call is not None and event.call.latency is not None]
    assert all(each >= 300_000_000 for each in whole), "none got the return of another"
    assert len(slept) == SLEEPERS


def test_the_command_line_has_latency_alarm_and_remedy() -> None:
    script = "for i in 1 2 3; do sleep 0.2 & done; wait"
    result = subprocess.run(
        [sys.executable, "-m", "explorer.cli", "trace", "--json", "--maxactive", "1", "do_nanosleep%call", "--",
         "sh", "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    *events, last = [json.loads(line) for line in result.stdout.splitlines()]
    whole = [event for event in events if event["latency_ns"] is not None]
    assert all(event["kind"] == "call" and event["latency_ns"] >= 200_000_000 for event in whole)
    summary = last["summary"]["do_nanosleep%call"]
    assert summary["calls"]["seen_whole"] == len(whole)
    assert summary["returns"]["missed"] > 0
    assert "returns missed" in summary["alarm"]
    assert "--maxactive 8 follows more" in result.stderr
