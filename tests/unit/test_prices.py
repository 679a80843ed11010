"""What was measured of a kernel is kept, belongs to that kernel only, and reaches the guard."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import pytest

from explorer.agent import hit_cost
from explorer.agent.failure import RequestError
from explorer.commands import doctor_engines
from explorer.commands.finding import Standing
from explorer.session import prices
from explorer.session.cost import Cost
from explorer.session.cost import prices as priced
from explorer.session.hello import Hello
from explorer.session.options import Options
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.session import Session
from tests.scripted_agent import ScriptedAgent, ScriptedTarget

MEASURED = {
    "ftrace": 210, "jump": None, "breakpoint": 800, "returned": 150, "fprobe": 600, "fprobe_returned": None,
    "bpf": None,
}  # fmt: skip


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedAgent:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return ScriptedAgent()


async def opened(agent: ScriptedAgent) -> Hello:
    session = Session(ScriptedTarget(agent))
    hello = await session.open()
    await session.close()
    return hello


async def test_what_was_measured_reaches_the_guard_of_the_same_kernel_only(agent: ScriptedAgent) -> None:
    hello = await opened(agent)
    assert agent.prices == []
    prices.keep(dataclasses.replace(hello, hostname="another"), {**MEASURED, "ftrace": 1})
    await opened(agent)
    assert agent.prices == []
    prices.keep(hello, MEASURED)
    await opened(agent)
    assert agent.prices == [MEASURED]
    assert prices.measured_on(hello) == datetime.date.today()
    assert prices.measured_on(dataclasses.replace(hello, release="another")) is None
    assert prices.kept(dataclasses.replace(hello, hostname="another")) == {**MEASURED, "ftrace": 1}


async def test_probes_whose_price_is_compared_record_one_value_each(agent: ScriptedAgent) -> None:
    session = Session(ScriptedTarget(agent))
    await session.open()
    await session.load()
    for kind in (ProbeKind.ENTRY, ProbeKind.RETURN):
        probe = await session.arming.arm(ProbeSpec("vfs_read", kind=kind), Options(registers=False, one_value=True))
        assert len(probe.fields) == 1
    assert [len(request["values"]) for request in agent.armed.values()] == [1, 1]
    await session.close()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"KEY": 1}', '{"KEY": {"ftrace": -1}}', '{"KEY": {"jump": true}}'])
async def test_a_damaged_file_is_as_good_as_none(agent: ScriptedAgent, text: str) -> None:
    hello = await opened(agent)
    file = prices.keep(hello, MEASURED)
    file.write_text(text.replace("KEY", f"{hello.hostname} {hello.release} {hello.machine}"))
    assert prices.kept(hello) is None
    await opened(agent)
    assert agent.prices == []


def test_a_return_is_priced_on_top_of_an_entry() -> None:
    costs = [Cost("ftrace", "f", 200.4), Cost("return", "f%return", 320.0), Cost("jump", cause="none"),
             Cost("int3", "f+0x9", 900.0), Cost("fprobe", "f", 610.0),
             Cost("fprobe return", "f%return", 600.0)]  # fmt: skip
    assert priced(costs) == {
        "ftrace": 200, "jump": None, "breakpoint": 900, "returned": 120, "fprobe": 610, "fprobe_returned": 1,
        "bpf": None,
    }  # fmt: skip
    assert priced([Cost("return", "f%return", 320.0)])["returned"] is None


async def test_the_doctor_tells_what_was_measured_and_when(agent: ScriptedAgent) -> None:
    hello = await opened(agent)
    [never] = doctor_engines.hit_cost(hello, hit_cost.TABLE)
    assert (never.standing, never.fix) == (Standing.LESS, "sudo kexplore cost")
    assert "never measured here" in never.text
    prices.keep(hello, MEASURED)
    [measured] = doctor_engines.hit_cost(hello, hit_cost.parse(MEASURED))
    assert measured.standing is Standing.GOOD
    assert measured.text.startswith("an entry 210 ns, its return 150 more")
    assert f"measured here on {datetime.date.today()}" in measured.text


def test_the_agent_takes_what_was_measured_and_the_rest_from_its_table() -> None:
    assert hit_cost.parse(MEASURED) == hit_cost.TABLE._replace(ftrace=210, breakpoint=800, returned=150, fprobe=600)


@pytest.mark.parametrize("value", [0, -1, 1.5, "7", True, 10**10])
def test_the_agent_refuses_what_is_no_price(value: object) -> None:
    with pytest.raises(RequestError, match="the price jump"):
        hit_cost.parse({**MEASURED, "jump": value})
