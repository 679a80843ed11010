"""Groups of a session: what a pattern means, what is told before, bulk requests, refusals, giving up, and the pace."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import pytest

from explorer.agent.protocol import MOST_AT_ONCE, Code
from explorer.commands import trace_groups
from explorer.errors import UsageError
from explorer.session import group_plan, groups, selection
from explorer.session.budget import Budget
from explorer.session.group_plan import CEILING, GroupError, GroupPlan
from explorer.session.group_work import Progress
from explorer.session.options import Options
from explorer.session.pace import Pace
from explorer.session.probe import ProbeState
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.session import Session
from tests.scripted_agent import ScriptedAgent, ScriptedTarget


@pytest.fixture
def agent() -> ScriptedAgent:
    return ScriptedAgent()


@pytest.fixture
async def session(agent: ScriptedAgent) -> AsyncIterator[Session]:
    opened = Session(ScriptedTarget(agent))
    await opened.open()
    await opened.load()
    yield opened
    await opened.close()


def planned(session: Session, text: str, *, hot: bool = False) -> GroupPlan:
    selected = selection.read(text)
    assert selected is not None
    return group_plan.plan(session, text, selection.symbols(session, selected), selected.kind, hot=hot)


@pytest.mark.parametrize(
    ("text", "query", "kind"),
    [
        ("tcp_*", "tcp_*", ProbeKind.ENTRY),
        ("*read?%return", "*read?", ProbeKind.RETURN),
        ("tcp_*%call", "tcp_*", ProbeKind.CALL),
        ("ext4:ext4_*", "mod:ext4 ext4_*", ProbeKind.ENTRY),
        ("mod:ext4", "mod:ext4", ProbeKind.ENTRY),
        ('takes:"struct bio *" is:ftrace', 'takes:"struct bio *" is:ftrace', ProbeKind.ENTRY),
        ("-mod:* *_show", "-mod:* *_show", ProbeKind.ENTRY),
    ],
)
def test_selections_are_told_from_probes(text: str, query: str, kind: ProbeKind) -> None:
    selected = selection.read(text)
    assert selected is not None
    assert (selected.text, selected.query, selected.kind) == (text, query, kind)


@pytest.mark.parametrize(
    "text", ["vfs_read", "vfs_read+0x1f", "ext4:ext4_file_open", "vfs_read.*", "0xffffffff81000000"]
)
def test_probes_are_no_selections(text: str) -> None:
    assert selection.read(text) is None
    ProbeSpec.parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("takes:bio submit", "'submit' would find names by likeness"),
        ("is:armed tcp_*", "nothing is armed yet"),
        ("is:nothing tcp_*", "is: has no 'nothing'"),
    ],
)
def test_what_is_not_certain_is_not_selected(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        selection.read(text)


async def test_a_plan_counts_and_names_what_is_left_out_and_why(session: Session, agent: ScriptedAgent) -> None:
    await session.arm(ProbeSpec("tcp_send"))
    plan = planned(session, "*s*ed*", hot=False)
    assert plan.hot == ("schedule",)
    assert planned(session, "*s*ed*", hot=True).specs == (ProbeSpec("schedule"),)
    plan = planned(session, "tcp_s*")
    assert (plan.wanted, len(plan.specs), plan.armed) == (3, 2, 1)
    lines = plan.lines(Pace(), Budget())
    assert lines[0] == "tcp_s*: 3 functions, 2 entry probes to arm"
    assert lines[1] == "armed already: 1"
    assert "a hit costs about 1.0 µs: 20,000 hits/s" in lines[-1]
    assert "no budget" in plan.lines(Pace(), Budget(None, None))[-1]


async def test_causes_of_refusals_are_told_with_their_numbers() -> None:
    agent = ScriptedAgent()
    traceable = agent.facts["available_filter_functions"].decode().split()
    kept = [name for name in traceable if not name.startswith("tcp_")]
    agent.facts["available_filter_functions"] = ("\n".join([*kept, "tcp_bio"]) + "\n").encode()
    session = Session(ScriptedTarget(agent))
    await session.open()
    await session.load()
    plan = planned(session, "tcp_*")
    assert plan.specs == (ProbeSpec("tcp_bio"),)
    assert {cause: len(names) for cause, names in plan.refused.items()} == {"notrace": 19}
    assert "cannot be probed, notrace: 19 (" in plan.lines(Pace(), Budget())[1]
    await session.close()


async def test_a_group_over_the_ceiling_or_of_nothing_is_refused(session: Session) -> None:
    plan = planned(session, "tcp_*")
    many = GroupPlan("*", ProbeKind.ENTRY, tuple(ProbeSpec(f"f{n}") for n in range(CEILING - 19)), 0, (), {}, 1.0)
    group_plan.require_possible(session, plan)
    with pytest.raises(GroupError, match="besides 20 others are over the ceiling of 1,000"):
        group_plan.require_possible(session, many, others=20)
    with pytest.raises(GroupError, match="nothing to arm: no function is meant"):
        group_plan.require_possible(session, planned(session, "none_such_*"))


async def test_it_is_armed_by_a_few_requests_and_refusals_are_each_told(session: Session, agent: ScriptedAgent) -> None:
    agent.refusals["tcp_bio"] = (Code.REFUSED, "the kernel refused tcp_bio", "")
    heard: list[Progress] = []
    agent.requests.clear()
    outcome = await groups.arm(session, planned(session, "*_*"), Options(registers=False), heard.append)
    [refused] = outcome.refused
    assert refused.error is not None
    assert refused.error.message == "the kernel refused tcp_bio"
    assert session.probes[ProbeSpec("tcp_bio")].state is ProbeState.FAILED
    assert len(outcome.armed) == len(agent.armed) == len(session.probes) - 1 > 300
    assert set(agent.requests) == {"arm_many"}
    assert len(agent.armed) / MOST_AT_ONCE < len(agent.requests) < 40
    assert [progress.done for progress in heard] == sorted(progress.done for progress in heard)
    assert (heard[0].done, heard[-1].done) == (0, len(session.probes))
    assert {probe.group for probe in session.probes.values()} == {"*_*"}
    assert all(probe["registers"] is False for probe in agent.armed.values())
    agent.count("vfs_read", hits=7)
    agent.requests.clear()
    final = await groups.disarm(session, "*_*")
    assert {probe.spec.symbol: probe.counters.hits for probe in final}["vfs_read"] == 7
    assert (agent.armed, session.probes) == ({}, {})
    assert set(agent.requests) == {"disarm_many"}
    assert session.tally.retired.hits == 7


async def test_calls_can_be_a_group(session: Session, agent: ScriptedAgent) -> None:
    plan = planned(session, "tcp_*%call")
    outcome = await groups.arm(session, plan, Options())
    assert len(agent.armed) == 2 * len(outcome.armed) == 2 * len(plan.specs)
    assert len(agent.entries) == len(plan.specs)
    assert all(probe.calls is not None for probe in outcome.armed)
    await groups.disarm(session, "tcp_*%call")
    assert agent.armed == {}


async def test_giving_up_disarms_what_was_armed(session: Session, agent: ScriptedAgent) -> None:
    plan = planned(session, "tcp_*")

    def heard(progress: Progress) -> None:
        if progress.done:
            groups.give_up(session, "tcp_*")

    outcome = await groups.arm(session, plan, Options(), heard)
    assert (outcome.armed, outcome.given_up, agent.bulks) == ((), 8, 1)
    assert outcome.sentence == "given up: 8 that were armed are disarmed again"
    assert (agent.armed, session.probes, session.arming.works) == ({}, {}, {})
    assert not groups.give_up(session, "tcp_*"), "there is nothing to give up any more"


async def test_an_agent_that_dies_leaves_no_work_and_no_probe_that_seems_armed(
    session: Session, agent: ScriptedAgent
) -> None:
    agent.bulk.clear()
    arming = asyncio.create_task(groups.arm(session, planned(session, "tcp_*"), Options()))
    while "arm_many" not in agent.requests:
        await asyncio.sleep(0)
    agent.die()
    with pytest.raises(Exception, match="the agent is gone"):
        await arming
    assert session.arming.works == {}
    assert session.probes == {}


async def test_one_filter_holds_for_all_and_where_it_means_nothing_is_told(
    session: Session, agent: ScriptedAgent
) -> None:
    outcome = await groups.arm(session, planned(session, "vfs_*"), Options(condition="count > 4096"))
    assert [probe.spec.symbol for probe in outcome.armed] == ["vfs_read"]
    [refused] = outcome.refused
    assert refused.spec.symbol == "vfs_write"
    assert refused.error is not None
    assert "count" in refused.error.message


def test_the_pace_is_a_guess_until_it_is_measured() -> None:
    pace = Pace()
    assert "a guess" in pace.sentence(500)
    pace.armed(10, 0.5)
    assert pace.sentence(500).startswith("arming takes about 25 s, disarming about 25 s (as measured with 10 so far)")
    pace.disarmed(10, 0.1)
    assert "disarming about 5 s" in pace.sentence(500)
    assert "arming takes under 1 s" in pace.sentence(3)


@pytest.mark.parametrize(("outlives", "told"), [(True, 468), (False, 0)])
async def test_what_the_agent_deletes_without_us_is_known_where_it_lives_on(
    agent: ScriptedAgent, outlives: bool, told: int
) -> None:
    agent.deleting = 468
    target = ScriptedTarget(agent)
    target.outlives_us = outlives
    session = Session(target)
    await session.open()
    assert await session.close() == []
    assert session.deleting == told


async def test_the_command_line_tells_first_and_without_a_terminal_arms_little_only(
    session: Session, agent: ScriptedAgent, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))  # a pipe is nobody who could have read the numbers
    _, selections = selection.divide(["vfs_read", "tcp_*", "tcp_s*"])
    with pytest.raises(UsageError, match="20 probes are not armed without a question") as caught:
        await trace_groups.plan(session, selections[:1], force=False, yes=False)
    assert caught.value.hint == "--yes arms them"
    assert "tcp_*: 20 functions, 20 entry probes to arm" in capsys.readouterr().err
    plans = await trace_groups.plan(session, selections[:1], force=False, yes=True)
    await trace_groups.arm(session, plans, None, lambda: False)
    assert "tcp_*: 20 armed in" in capsys.readouterr().err
    agent.count("tcp_send", hits=3)
    final = await trace_groups.disarm(session, plans)
    [(name, total)] = trace_groups.summaries(plans, final)
    assert (name, total.hits) == ("tcp_*, 1 of 20 probes hit", 3)
