"""Functions with their variants: in a list, in search results, as probes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.errors import UsageError
from explorer.session import family
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.session import Session
from symbols.errors import KexploreError, UnknownSymbolError
from symbols.families import together
from tests.scripted_agent import FUNCTIONS, ScriptedAgent, ScriptedTarget, kallsyms

KIN = ["walk", "other", "walk.isra.0", "walk.part.1", "walk.cold", "twice", "lone.constprop.0", "twice"]


def agent() -> ScriptedAgent:
    scripted = ScriptedAgent()
    scripted.facts["kallsyms"] = kallsyms(FUNCTIONS + KIN)
    listed = [name for name in FUNCTIONS + KIN if name != "walk.cold"]
    scripted.facts["available_filter_functions"] = "".join(f"{name}\n" for name in listed).encode()
    return scripted


async def loaded(scripted: ScriptedAgent) -> Session:
    session = Session(ScriptedTarget(scripted))
    await session.open()
    await session.load()
    return session


def parsed(*texts: str) -> list[ProbeSpec]:
    return [ProbeSpec.parse(text) for text in texts]


async def test_all_variants_are_the_function_and_what_is_called_in_its_place() -> None:
    session = await loaded(agent())
    assert family.expand(session, parsed("walk.*")) == parsed("walk", "walk.isra.0", "walk.part.1")
    assert family.expand(session, parsed("lone.*%return")) == parsed("lone.constprop.0%return")
    assert family.expand(session, parsed("other.*", "other", "vfs_read")) == parsed("other", "vfs_read")
    with pytest.raises(UnknownSymbolError):
        family.expand(session, parsed("nothing_like_it.*"))
    await session.close()


async def test_toggle_arms_what_is_missing_and_then_disarms_all() -> None:
    scripted = agent()
    session = await loaded(scripted)
    assert session.catalog is not None
    [walk] = session.catalog.find("walk")
    await session.arm(ProbeSpec("walk.isra.0"))
    await family.toggle(session, walk, ProbeKind.ENTRY)
    assert sorted(probe["symbol"] for probe in scripted.armed.values()) == ["walk", "walk.isra.0", "walk.part.1"]
    await family.toggle(session, walk, ProbeKind.ENTRY)
    assert scripted.armed == {}
    await session.close()


async def test_a_shared_name_is_refused_with_the_addresses_and_armed_by_one() -> None:
    scripted = agent()
    session = await loaded(scripted)
    assert session.catalog is not None
    first, second = session.catalog.find("twice")
    with pytest.raises(KexploreError, match="2 symbols") as refused:
        await session.arm(ProbeSpec("twice"))
    assert f"{second.address:#x} (beside lone.constprop.0" in refused.value.hint
    await session.arm(session.probe_for(second))
    assert [probe.get("address") for probe in scripted.armed.values()] == [second.address]
    assert session.probe_for(first) != session.probe_for(second)
    await session.close()


def test_an_offset_belongs_to_one_function() -> None:
    with pytest.raises(UsageError, match="one function"):
        ProbeSpec.parse("walk.*+4")
    assert str(ProbeSpec.parse("ext4:walk.*%return")) == "ext4:walk.*%return"


def test_search_results_keep_the_best_first() -> None:
    names = ["walk", "other", "walk.isra.0", "lone.part.0"]
    assert list(together(names, [0, 1, 2, 3])) == [0, 2, 1, 3]
    assert list(together(names, [2, 1, 0])) == [2, 1, 0], "asked for by its own name"


@given(st.lists(st.sampled_from(["a", "a.isra.0", "a.part.1", "b", "b.cold", "c.x"]), unique=True))
def test_nothing_is_lost(names: list[str]) -> None:
    assert sorted(together(names, range(len(names)))) == list(range(len(names)))
