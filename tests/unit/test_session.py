"""A session over a scripted agent: loading in stages, arming, refusing, counting, ending."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from explorer.agent.protocol import Code
from explorer.errors import AgentError
from explorer.session.change import Change
from explorer.session.loading import Stage
from explorer.session.probe import ProbeState
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.session import Session
from symbols.errors import Category, FactError, KexploreError, UnknownSymbolError
from symbols.verdict import VerdictKind
from tests.scripted_agent import AT_FDCWD, ScriptedAgent, ScriptedTarget, address

OPEN = ProbeSpec("do_sys_openat2")


@pytest.fixture
def agent() -> ScriptedAgent:
    return ScriptedAgent()


@pytest.fixture
async def session(agent: ScriptedAgent) -> AsyncIterator[Session]:
    session = Session(ScriptedTarget(agent))
    await session.open()
    yield session
    await session.close()


async def told(session: Session, wanted: Change) -> None:
    """Wait until the session tells of this."""
    heard = asyncio.Event()

    def subscriber(change: Change) -> None:
        if change is wanted:
            heard.set()

    session.subscribe(subscriber)
    async with asyncio.timeout(10):
        await heard.wait()
    session.unsubscribe(subscriber)


async def test_names_can_be_listed_before_anything_else_is_there(agent: ScriptedAgent, session: Session) -> None:
    gate = agent.hold("available_filter_functions")
    loading = asyncio.create_task(session.load())
    await told(session, Change.CATALOG)
    assert session.catalog is not None
    assert "do_sys_openat2" in session.catalog.names
    assert session.search is None
    gate.set()
    await loading
    assert session.loading.done == set(Stage)
    assert session.search is not None


async def test_what_is_missing_is_kept_with_its_cause(agent: ScriptedAgent, session: Session) -> None:
    del agent.facts["btf:vmlinux"], agent.facts["kprobe_blacklist"]
    await session.load()
    assert set(session.loading.failures) >= {"btf:vmlinux", "kprobe_blacklist"}
    assert session.catalog is not None
    [symbol] = session.catalog.find("do_sys_openat2")
    assert "no btf:vmlinux here" in session.catalog.prototype(symbol).cause


async def test_a_truncated_btf_is_a_failure_not_a_crash(agent: ScriptedAgent, session: Session) -> None:
    agent.facts["btf:vmlinux"] = agent.facts["btf:vmlinux"][:-40]
    await session.load()
    assert "btf:vmlinux" in session.loading.failures


async def test_without_names_there_is_nothing_to_explore(agent: ScriptedAgent, session: Session) -> None:
    agent.facts["kallsyms"] = b"garbage\n"
    with pytest.raises(FactError, match="line 1"):
        await session.load()


async def test_an_armed_probe_counts_and_its_events_are_journaled(agent: ScriptedAgent, session: Session) -> None:
    await session.load()
    probe = await session.arm(OPEN)
    assert probe.state is ProbeState.ARMED
    agent.hit("do_sys_openat2", [AT_FDCWD, 0x7FFE12345678, "/etc/passwd", 0xFFFF888112340000])
    await told(session, Change.EVENTS)
    event = session.journal[1]
    assert (event.comm, event.pid, probe.counters.hits) == ("cat", 154, 1)
    assert [value.text for value in session.describe(event)] == [
        "AT_FDCWD",
        '"/etc/passwd"',
        "kernel:0xffff888112340000",
    ]
    assert await session.disarm(OPEN) is probe
    assert (probe.state, session.probes, agent.armed) == (ProbeState.DISARMED, {}, {})
    assert session.journal[1] is event


async def test_arming_twice_is_one_probe_and_toggling_is_both_ways(agent: ScriptedAgent, session: Session) -> None:
    await session.load()
    one, two = await asyncio.gather(session.arm(OPEN), session.arm(OPEN))
    assert one is two
    assert len(agent.armed) == 1
    await session.toggle(OPEN)
    assert agent.armed == {}
    await session.toggle(OPEN)
    assert len(agent.armed) == 1


async def test_an_unknown_name_offers_the_nearest(session: Session) -> None:
    await session.load()
    with pytest.raises(UnknownSymbolError) as caught:
        await session.arm(ProbeSpec("do_sys_opnat2"))
    assert "do_sys_openat2" in caught.value.nearest
    assert session.probes == {}


async def test_an_offset_past_the_end_names_what_is_there(session: Session) -> None:
    await session.load()
    with pytest.raises(KexploreError, match="__handle_mm_fault"):
        await session.arm(ProbeSpec("handle_mm_fault", offset=0x100))


async def test_a_module_that_is_not_loaded_is_refused(agent: ScriptedAgent, session: Session) -> None:
    await session.load()
    with pytest.raises(KexploreError, match="no module nomod is loaded"):
        await session.arm(ProbeSpec("foo", module="nomod"))
    assert "arm" not in agent.requests  # the kernel would take it, silently


async def test_a_blacklisted_function_is_refused_before_the_kernel_is_asked(
    agent: ScriptedAgent, session: Session
) -> None:
    start = address("schedule")
    agent.facts["kprobe_blacklist"] = f"0x{start:x}-0x{start + 0x100:x}\tschedule\n".encode()
    await session.load()
    with pytest.raises(KexploreError, match="must not touch") as caught:
        await session.arm(ProbeSpec("schedule"))
    assert caught.value.category is Category.KERNEL_CANNOT
    assert "arm" not in agent.requests
    assert session.probes[ProbeSpec("schedule")].state is ProbeState.FAILED


async def test_the_kernels_refusal_is_kept_at_the_probe(agent: ScriptedAgent, session: Session) -> None:
    agent.refusals["vfs_read"] = (Code.REFUSED, "the kernel says no", "ask it nicely")
    await session.load()
    with pytest.raises(AgentError, match="the kernel says no"):
        await session.arm(ProbeSpec("vfs_read"))
    failed = session.probes[ProbeSpec("vfs_read")]
    assert failed.error is not None
    assert failed.error.hint == "ask it nicely"
    del agent.refusals["vfs_read"]
    assert (await session.arm(ProbeSpec("vfs_read"))).state is ProbeState.ARMED


async def test_a_kernel_that_cannot_be_probed_says_so(agent: ScriptedAgent) -> None:
    agent.cannot_probe()
    session = Session(ScriptedTarget(agent))
    await session.open()
    await session.load()
    assert session.catalog is not None
    verdict = session.catalog.verdict(session.catalog.find("vfs_read")[0])
    assert (verdict.kind, verdict.cause) == (VerdictKind.KERNEL_CANNOT, "CONFIG_KPROBES is not set")
    with pytest.raises(KexploreError, match="CONFIG_KPROBES is not set"):
        await session.arm(OPEN)
    await session.close()


async def test_a_lost_agent_leaves_no_probe_that_looks_armed(agent: ScriptedAgent, session: Session) -> None:
    await session.load()
    probe = await session.arm(OPEN)
    agent.die()
    await told(session, Change.LOST)
    assert probe.state is ProbeState.DISARMED
    assert session.gone


async def test_a_duplicate_name_is_armed_by_its_address(agent: ScriptedAgent, session: Session) -> None:
    twice = f"{address('vfs_write'):016x} t vfs_read\n".encode()
    agent.facts["kallsyms"] = agent.facts["kallsyms"].replace(
        f"{address('vfs_write'):016x} T vfs_write\n".encode(), twice
    )
    await session.load()
    assert session.catalog is not None
    one, two = session.catalog.find("vfs_read")
    assert session.probe_for(two) == ProbeSpec("", address=two.address)
    assert session.probe_for(one, ProbeKind.RETURN) == ProbeSpec("", address=one.address, kind=ProbeKind.RETURN)


async def test_closing_tells_what_could_not_be_removed(agent: ScriptedAgent) -> None:
    agent.left = ["kexplore_1_2"]
    session = Session(ScriptedTarget(agent))
    await session.open()
    assert await session.close() == ["kexplore_1_2"]
