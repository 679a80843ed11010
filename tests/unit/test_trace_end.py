"""The time ends ``kexplore trace``; times that mean nothing."""

from __future__ import annotations

import asyncio

import pytest

from explorer import cli
from explorer.commands import connection, trace
from explorer.session.session import Session
from tests.scripted_agent import ScriptedAgent, ScriptedTarget

OPEN = "do_sys_openat2"


def traced(agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(connection, "_target", lambda wanted, snapshot: ScriptedTarget(agent))
    options = cli.parser().parse_args(["trace", OPEN, *words])
    options.traced = None
    return trace.run(options)


def test_it_ends_when_the_agent_says_that_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = ScriptedAgent()
    armed = Session.arm

    async def arm_and_expire(session: Session, *arguments: object, **options: object) -> object:
        probe = await armed(session, *arguments, **options)  # type: ignore[arg-type]
        asyncio.get_running_loop().call_soon(agent.expire)
        return probe

    monkeypatch.setattr(Session, "arm", arm_and_expire)
    assert traced(agent, monkeypatch, "--for", "10m") == 0
    told = capsys.readouterr().err
    assert "the time (10m) is over: everything is disarmed" in told
    assert f"{OPEN}: 7 hits, 0 missed, 0 lost, 0 filtered, 7 not shown" in told
    assert agent.deadlines[0] <= 600
    assert "disarm" not in agent.requests


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--for", "10", "trace", OPEN], "'10' is no time; write a number with its unit: 30s, 10m, 2h"),
        (["trace", OPEN, "--for", "0s"], "'0s' is not above 0 and up to 720h"),
        (["--for", "10m", "show", OPEN], "--for goes with the full-screen program and with trace"),
    ],
)
def test_times_that_mean_nothing_are_errors_of_usage(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
