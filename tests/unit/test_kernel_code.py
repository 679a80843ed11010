"""A function's code as places for probes, over a scripted agent: what is refused, and why."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from explorer.session.code_words import instruction_words, spec_at
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from explorer.session.session import Session
from symbols.errors import Category, KexploreError
from symbols.probe_sites import Role
from tests.kernel_code import CODE, at, with_code
from tests.scripted_agent import ScriptedAgent, ScriptedTarget, address

READ = "vfs_read"
BEGINS = [0x0, 0x4, 0x9, 0xA, 0xE, 0x13, 0x15, 0x1A, 0x1B, 0x1C]


@contextlib.asynccontextmanager
async def opened(agent: ScriptedAgent) -> AsyncIterator[Session]:
    session = Session(ScriptedTarget(agent))
    await session.open()
    await session.load()
    try:
        yield session
    finally:
        await session.close()


async def test_a_listing_names_what_the_code_leads_to() -> None:
    async with opened(with_code(ScriptedAgent())) as session:
        assert session.catalog is not None
        listing = await session.code.listing(session.catalog, session.catalog.find(READ)[0])
        assert [listing.offset(site) for site in listing.sites][: len(BEGINS)] == BEGINS
        words = [instruction_words(session.catalog, listing, site.instruction) for site in listing.sites[:9]]
        assert words[4:7] == ["callq schedule", "je +0x1a", "callq tcp_sendmsg+0x10"]
        assert listing.sites[1].role is Role.FTRACE, "told by its look: this kernel lists no addresses"
        assert listing.sites[10].role is Role.PADDING
        entry = session.probe_for(listing.symbol)
        specs = [spec_at(session.catalog, listing, site, entry) for site in listing.sites[:3]]
        assert specs == [ProbeSpec(READ), ProbeSpec(READ), ProbeSpec(READ, offset=9)]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("vfs_read+0x5", r"inside an instruction: .* at vfs_read\+0x4 and vfs_read\+0x9"),
        ("vfs_read+0x1e", "padding between functions"),
        ("vfs_read+0x40", "padding between functions"),
        ("vfs_read+0x1c", "BUG"),
        ("vfs_read+0x1f0", r"past the end of vfs_read: vfs_write\+0xf0 is there"),
        (f"{at(READ, 5):#x}", r"inside an instruction: .* at vfs_read\+0x4"),
        (f"{at(READ, 9):#x}%return", r"inside vfs_read, at \+0x9: only a whole function returns"),
        ("0x1000", "in no function"),
    ],
)
async def test_a_place_that_takes_no_probe_is_refused_before_the_kernel_is_asked(place: str, words: str) -> None:
    agent = with_code(ScriptedAgent())
    async with opened(agent) as session:
        with pytest.raises(KexploreError, match=words):
            await session.arm(ProbeSpec.parse(place))
        assert "arm" not in agent.requests


async def test_an_address_in_data_names_the_variable() -> None:
    agent = with_code(ScriptedAgent())
    agent.facts["kallsyms"] += b"ffffffff82000000 D jiffies\nffffffff82000008 D jiffies_64\n"
    async with opened(agent) as session:
        with pytest.raises(KexploreError, match="in jiffies, cannot be probed: a variable"):
            await session.arm(ProbeSpec.parse("0xffffffff82000004"))


async def test_hidden_addresses_are_the_cause_where_they_are() -> None:
    agent = ScriptedAgent()
    agent.facts["kallsyms"] = b"0000000000000000 T _text\n0000000000000000 T vfs_read\n"
    async with opened(agent) as session:
        with pytest.raises(KexploreError, match="hides its addresses") as caught:
            await session.arm(ProbeSpec.parse("0xffffffff81000109"))
        assert caught.value.category is Category.NOT_PERMITTED
        assert session.catalog is not None
        with pytest.raises(KexploreError, match="hidden"):
            await session.code.listing(session.catalog, session.catalog.find(READ)[0])


async def test_probes_inside_a_function_record_registers_and_no_arguments() -> None:
    agent = with_code(ScriptedAgent())
    async with opened(agent) as session:
        for spec in (ProbeSpec(READ, offset=9), ProbeSpec("", address=at(READ, 0xA))):
            probe = await session.arm(spec)
            assert [field.name for field in probe.fields][:3] == ["ax", "di", "si"]
        probe = await session.arm(ProbeSpec("", address=address(READ)))
        assert [field.name for field in probe.fields] == ["file", "buf", "count", "pos"]
        assert probe.offset == 0
        assert probe.spec.kind is ProbeKind.ENTRY


async def test_where_the_code_cannot_be_read_the_kernel_itself_decides() -> None:
    agent = ScriptedAgent()
    async with opened(agent) as session:
        await session.arm(ProbeSpec(READ, offset=5))
        assert [probe["offset"] for probe in agent.armed.values()] == [5]


async def test_code_seen_before_a_probe_was_armed_is_shown_as_it_was() -> None:
    agent = with_code(ScriptedAgent())
    async with opened(agent) as session:
        catalog = session.catalog
        assert catalog is not None
        symbol = catalog.find(READ)[0]
        before = await session.code.listing(catalog, symbol)
        hidden = bytearray(CODE)
        hidden[0x13] = 0xCC
        with_code(agent, bytes(hidden))
        agent.facts["kprobes"] = f"{at(READ, 0x13):016x}  k  vfs_read+0x13    \n".encode()
        after = await session.code.listing(catalog, symbol)
        assert after.sites == before.sites
        assert list(after.kprobes) == [at(READ, 0x13)]


@pytest.mark.parametrize("list_is_readable", [True, False])
async def test_what_an_unknown_probe_hides_is_not_guessed(list_is_readable: bool) -> None:
    agent = with_code(ScriptedAgent())
    hidden = bytearray(CODE)
    hidden[0xE] = 0xCC  # over the call
    with_code(agent, bytes(hidden))
    agent.facts["kprobes"] = f"{at(READ, 0xE):016x}  k  vfs_read+0xe    \n".encode()
    if not list_is_readable:
        del agent.facts["kprobes"]
    async with opened(agent) as session:
        assert session.catalog is not None
        listing = await session.code.listing(session.catalog, session.catalog.find(READ)[0])
        gap = next(site for site in listing.sites if site.role is Role.HIDDEN)
        assert listing.offset(gap) == 0xE
        assert {listing.offset(site) for site in listing.sites} <= {*BEGINS, *range(0x1E, 0x100)}
        assert any("armed in it" in note for note in listing.notes) is not list_is_readable
