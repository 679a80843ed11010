"""Calls in a session: two probes armed as one, paired by what the agent says is complete, filtered, recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from explorer.agent.protocol import Code
from explorer.commands.trace import event_json
from explorer.errors import AgentError, UsageError
from explorer.session.filters.errors import FilterError
from explorer.session.filters.several import apportion
from explorer.session.probe import Counters, Probe, ProbeState
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.recording import Recorder, ReplayTarget
from explorer.session.session import Session
from symbols.errors import KexploreError
from tests.scripted_agent import ScriptedAgent, ScriptedTarget

OPEN = "do_sys_openat2"
CALL = ProbeSpec(OPEN, kind=ProbeKind.CALL)
FRAME = 0xFFFFC90000003F00
ARGUMENTS: list[int | str | None] = [-100, 0x7F0000001000, "/etc/hosts", 0xFFFFC90000003E00]


@pytest.fixture
def agent() -> ScriptedAgent:
    return ScriptedAgent()


@pytest.fixture
async def session(agent: ScriptedAgent) -> AsyncIterator[Session]:
    session = Session(ScriptedTarget(agent))
    await session.open()
    await session.load()
    yield session
    await session.close()


async def heard(session: Session) -> None:
    """Everything that the agent said so far has been taken in."""
    await session.fact("modules")


def enter(agent: ScriptedAgent, frame: int = FRAME) -> None:
    agent.hit(OPEN, [*ARGUMENTS, frame])


def leave(agent: ScriptedAgent, result: int, frame: int = FRAME) -> None:
    agent.hit(OPEN, [result, frame + 8], kind="return")


def parts(probe: Probe) -> tuple[Probe, Probe]:
    assert probe.calls is not None
    return probe.calls.parts


def test_the_notation() -> None:
    assert ProbeSpec.parse("vfs_read%call") == ProbeSpec("vfs_read", kind=ProbeKind.CALL)
    assert str(ProbeSpec.parse("ext4:ext4_file_open%call")) == "ext4:ext4_file_open%call"
    assert str(ProbeSpec.parse("0xffffffff81000100%call")) == "0xffffffff81000100%call"
    with pytest.raises(UsageError, match="a call probe has no offset"):
        ProbeSpec.parse("vfs_read+4%call")


async def test_a_call_is_an_entry_and_a_return_probe_that_know_of_each_other(
    agent: ScriptedAgent, session: Session
) -> None:
    probe = await session.arm(CALL, maxactive=64)
    assert probe.state is ProbeState.ARMED
    assert [(armed["kind"], armed["maxactive"]) for armed in agent.armed.values()] == [("entry", 0), ("return", 64)]
    pointer = {"register": "sp", "dereference": [], "type": "u64"}
    assert all(armed["values"][-1] == pointer for armed in agent.armed.values())
    assert agent.entries == {agent.number(OPEN, "return"): agent.number(OPEN)}
    assert list(session.probes) == [CALL]


async def test_one_event_has_the_arguments_the_result_and_the_latency(agent: ScriptedAgent, session: Session) -> None:
    probe = await session.arm(CALL)
    enter(agent)
    leave(agent, -2)
    await heard(session)
    [event] = session.journal.between(1, 9)
    assert [value.text for value in session.describe(event)][1:] == [
        '"/etc/hosts"',
        "kernel:0xffffc90000003e00",
        "-ENOENT",
    ]
    line = event_json(session, event)
    assert (line["kind"], line["probe"], line["latency_ns"], line["depth"]) == ("call", f"{OPEN}%call", 1_500_000, 1)
    assert line["return"] == {"raw": -2, "text": "-ENOENT"}
    assert set(line["values"]) == {"dfd", "filename", "how"}
    assert line["t"] - line["entered"] == pytest.approx(0.0015)
    assert probe.counters == Counters(hits=2)
    disarmed = await session.disarm(CALL)
    assert disarmed is probe
    assert agent.armed == {}


async def test_a_call_without_a_return_is_told_in_the_end(agent: ScriptedAgent, session: Session) -> None:
    await session.arm(CALL)
    enter(agent)
    await session.disarm(CALL)
    [event] = session.journal.between(1, 9)
    line = event_json(session, event)
    assert (line["return"], line["latency_ns"], line["outcome"]) == (None, None, "no return so far")
    assert line["values"]["filename"]["text"] == "/etc/hosts"


async def test_nothing_is_paired_before_it_is_complete_or_across_a_gap(agent: ScriptedAgent, session: Session) -> None:
    probe = await session.arm(CALL)
    first = 5_000_000_000  # the scripted agent's clock, which moves on by 1,500,000 with each hit
    agent.until = first + 1
    enter(agent)
    leave(agent, 3)
    await heard(session)
    assert len(session.journal) == 0
    agent.complete(first + 1_500_001)
    await heard(session)
    assert len(session.journal) == 1
    agent.until = None
    enter(agent)
    await heard(session)
    agent.complete(1 << 62, {agent.number(OPEN, "return"): first + 2 * 1_500_000})
    leave(agent, 3)
    await heard(session)
    assert len(session.journal) == 1
    assert probe.calls is not None
    figures = probe.calls.figures()
    assert (figures["seen_whole"], figures["not_paired_across_gaps"], figures["no_entry"]) == (1, 1, 1)


async def test_where_the_return_is_refused_nothing_stays_armed(agent: ScriptedAgent, session: Session) -> None:
    agent.refusals[f"{OPEN}%return"] = (Code.REFUSED, "no room", "")
    with pytest.raises(KexploreError, match="no room"):
        await session.arm(CALL)
    assert agent.armed == {}
    assert session.probes[CALL].state is ProbeState.FAILED
    agent.refusals.clear()
    assert (await session.arm(CALL)).state is ProbeState.ARMED


async def test_what_returned_otherwise_is_not_told_as_without_a_return(agent: ScriptedAgent, session: Session) -> None:
    probe = await session.arm(CALL, condition="return < 0")
    assert [each.filter is not None for each in parts(probe)] == [False, True]
    enter(agent)  # its return did not pass
    enter(agent)
    leave(agent, -2)
    await session.disarm(CALL)
    assert [event.call is not None and event.call.latency for event in session.journal.between(1, 9)] == [1_500_000]


async def test_a_part_cannot_ask_for_both_ends_at_once(session: Session) -> None:
    with pytest.raises(FilterError, match="no value called dfd"):
        await session.arming.check_filter(CALL, "return < 0 || dfd == 3")
    assert (await session.arming.check_filter(CALL, "dfd == 3 && return < 0")) is not None


def test_a_filter_of_several_probes_goes_to_calls_whole() -> None:
    entry = ProbeSpec("vfs_read")
    assert apportion("count > 9 && return < 0", [CALL, entry]) == {CALL: "count > 9 && return < 0", entry: "count > 9"}


async def test_a_refused_filter_leaves_both_ends_as_they_were(agent: ScriptedAgent, session: Session) -> None:
    probe = await session.arm(CALL, condition="dfd == 3")
    agent.filter_refusal = "no"
    with pytest.raises(AgentError):
        await session.arming.set_filter(CALL, "dfd == 4 && return < 0")
    assert probe.filter is not None
    assert probe.filter.text == "dfd == 3"


async def test_a_recording_replays_calls(agent: ScriptedAgent, tmp_path: Path) -> None:
    path = tmp_path / "calls.kxr"
    session = Session(Recorder(ScriptedTarget(agent), path))
    await session.open()
    await session.load()
    await session.arm(CALL)
    agent.until = 0
    enter(agent)
    leave(agent, 3)
    agent.complete(1 << 62)
    await heard(session)
    await session.close()
    replayed = Session(ReplayTarget(path, pace=0.05))
    await replayed.open()
    await replayed.load()
    await replayed.arm(CALL)
    async with asyncio.timeout(10):
        while not len(replayed.journal):
            await asyncio.sleep(0)
    [event] = replayed.journal.between(1, 9)
    assert event.call is not None
    assert event.call.latency == 1_500_000
    await replayed.close()
