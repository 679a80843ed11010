"""The guard's reports in the session and in words; the functions that ask before they are armed."""

from __future__ import annotations

import pytest

from explorer.session import hot_functions
from explorer.session.change import Change
from explorer.session.guard import Guarded, State
from explorer.session.probe_spec import ProbeSpec
from explorer.session.session import Session
from tests.scripted_agent import ScriptedAgent, ScriptedTarget, address

OPEN = "do_sys_openat2"


async def test_a_session_keeps_the_guard_s_last_word_and_tells_of_changes_of_state() -> None:
    agent = ScriptedAgent()
    session = Session(ScriptedTarget(agent))
    await session.open()
    await session.load()
    probe = await session.arm(ProbeSpec(OPEN))
    told: list[tuple[Change, State | None]] = []
    session.subscribe(lambda change: told.append((change, probe.guard.state if probe.guard else None)))
    agent.guard(OPEN, "running", rate=1.0, cost=0.1)
    agent.guard(OPEN, "sampled", rate=5.0, cost=0.1, enabled=0.05)
    agent.guard(OPEN, "sampled", rate=6.0, cost=0.1, enabled=0.05, unseen=7)
    agent.guard(OPEN, "running", rate=0.0, cost=0.0, unseen=7)
    await session.fact("modules")  # answered behind them
    assert [state for change, state in told if change is Change.GUARD] == [State.SAMPLED, State.RUNNING]
    assert probe.guard is not None
    assert probe.guard.text == "was sampled: ~7 hits unseen, an estimate"
    await session.close()


def guarded(state: State, *, rate: float = 0.0, cost: float = 0.0, enabled: float = 1.0, cause: str = "") -> Guarded:
    return Guarded(state, rate, cost, enabled, 0, cause)


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (guarded(State.RUNNING, rate=9.0), ""),
        (guarded(State.SAMPLED, rate=1234.0, enabled=0.05), "sampled (50 ms of each second), ~1,234/s estimated"),
        (guarded(State.STOPPED, rate=1e6, cost=0.9), "stopped by the guard: ~1,000,000/s would cost 90% of a core"),
        (guarded(State.STOPPED, cause="busy"), "stopped: it could not be enabled again: busy"),
    ],
)
def test_words(report: Guarded, words: str) -> None:
    assert report.text == words


def test_estimates_are_called_so_in_json() -> None:
    assert guarded(State.SAMPLED, rate=5.0).to_json()["estimated_rate"] == 5.0
    assert guarded(State.RUNNING, rate=5.0).to_json()["rate"] == 5.0


@pytest.mark.parametrize(
    "name",
    ["schedule", "__schedule", "_raw_spin_lock_irqsave", "ring_buffer_lock_reserve", "kfree", "try_to_wake_up",
     "kmem_cache_alloc_noprof", "do_user_addr_fault", "finish_task_switch.isra.0", "hrtimer_interrupt"],
)  # fmt: skip
def test_what_is_deadly_hot_asks_first(name: str) -> None:
    assert hot_functions.reason(name)


@pytest.mark.parametrize(
    "name",
    ["vfs_read", "vfs_write", "handle_mm_fault", "do_sys_openat2", "do_nanosleep", "ksys_read", "schedule_work",
     "tcp_sendmsg", "kfree_link", "mutex_is_locked", "schedule_timeout", "__x64_sys_getpgid"],
)  # fmt: skip
def test_what_is_merely_busy_does_not(name: str) -> None:
    assert hot_functions.reason(name) == ""


async def test_by_address_too_and_not_where_it_is_refused_anyway() -> None:
    agent = ScriptedAgent()
    agent.facts["kprobe_blacklist"] = b""
    session = Session(ScriptedTarget(agent))
    await session.open()
    await session.load()
    by_address = ProbeSpec("", address=address("schedule"))
    with pytest.raises(hot_functions.HotFunctionError, match="deadly hot") as caught:
        hot_functions.require_force(session, [ProbeSpec(OPEN), by_address])
    assert "--force" in caught.value.hint
    hot_functions.require_force(session, [ProbeSpec(OPEN)])
    await session.close()
    start = address("schedule")
    agent = ScriptedAgent()
    agent.facts["kprobe_blacklist"] = f"0x{start:x}-0x{start + 0x100:x}\tschedule\n".encode()
    session = Session(ScriptedTarget(agent))
    await session.open()
    await session.load()
    hot_functions.require_force(session, [ProbeSpec("schedule")])  # arming says why not
    await session.close()
