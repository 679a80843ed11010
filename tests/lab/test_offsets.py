"""Places inside functions on a real kernel: the same boundaries as the kernel's, real hits, nothing left behind."""

from __future__ import annotations

import errno
import functools
import json
import os
import random
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from explorer.session.probe_spec import ProbeSpec
from symbols.errors import KexploreError
from symbols.probe_sites import Role
from tests.lab.local_session import local_session
from tests.lab.tracing_state import TRACEFS

KEXPLORE = [sys.executable, "-m", "explorer.cli"]
SEED = 20_261_122
FUNCTIONS, BOUNDARIES, SPECIAL, INSIDE = 40, 200, 30, 80
SCRATCH = "kxtest_offsets"


def kernel_says(places: list[str]) -> list[int]:
    """The kernel's error on a definition at each place, 0 where it takes it. None is armed, all are taken back."""
    said = []
    try:
        for number, place in enumerate(places):
            try:
                write(f"p:{SCRATCH}/e{number} {place}")
                said.append(0)
            except OSError as error:
                said.append(error.errno or -1)
    finally:
        write(f"-:{SCRATCH}/")  # by group: one by one takes five times as long
    return said


async def test_boundaries_and_refusals_are_those_of_the_kernel() -> None:
    """A seeded sample: what is listed as a place is one, what is refused would be, and what lies between is none."""
    async with local_session() as session:
        catalog = session.catalog
        assert catalog is not None
        [vfs_read] = catalog.find("vfs_read")
        listing = await session.code.listing(catalog, vfs_read)
        site = next(site for site in listing.sites if site.role is Role.CODE and len(site.instruction.code) > 1)
        begin, end = (listing.offset(site) + more for more in (0, len(site.instruction.code)))
        near = rf"nearest that begin are at vfs_read\+{begin:#x} and vfs_read\+{end:#x}"
        with pytest.raises(KexploreError, match=near):
            await session.arm(ProbeSpec("vfs_read", offset=begin + 1))
        chance = random.Random(SEED)
        places: list[tuple[str, bool, Role, str]] = []
        inside: list[tuple[str, bool]] = []
        functions = 0
        while functions < FUNCTIONS:
            symbol = catalog.symbol(chance.choice(catalog.rows))
            if not catalog.verdict(symbol).can_arm or catalog.count(symbol) > 1 or not 32 <= (symbol.size or 0) < 8192:
                continue
            functions += 1
            listing = await session.code.listing(catalog, symbol)
            assert b"".join(site.instruction.code for site in listing.sites) == await session.fact(
                f"text:{symbol.address:#x}:{symbol.size}"
            )
            for site in listing.sites:
                if site.role in (Role.PADDING, Role.HIDDEN):
                    continue
                offset = listing.offset(site)
                places.append((f"{symbol.name}+{offset}", not site.cause, site.role, site.instruction.mnemonic))
                beyond = range(offset + 1, offset + len(site.instruction.code))
                inside += [(f"{symbol.name}+{n}", bool(site.cause)) for n in beyond]
    special = [place for place in places if not place[1] and place[3] != "int3"]
    chosen = chance.sample(places, BOUNDARIES) + chance.sample(special, min(SPECIAL, len(special)))
    wrong = [
        (place, role.value, mnemonic, said)
        for (place, expected, role, mnemonic), said in zip(chosen, kernel_says([c[0] for c in chosen]), strict=True)
        if (said == 0) != expected or (said == errno.EILSEQ and mnemonic != "int3")
    ]
    between = chance.sample(inside, INSIDE)
    *answers, _ = kernel_says([place for place, _ in between] + [chosen[0][0]])  # which is taken: there is a group
    taken = [
        (place, said)
        for (place, rewritten), said in zip(between, answers, strict=True)
        # Of what it rewrites the kernel says that first (jump_label_text_reserved), whichever byte it is.
        if said != errno.EILSEQ and not (rewritten and said == errno.EINVAL)
    ]
    roles = Counter(role.value for place, _, role, _ in chosen)
    print(f"{len(chosen)} places of {functions} functions, {dict(roles)}, and {len(inside)} between: {wrong} {taken}")
    assert {"jump label", "static call"} & set(roles), "the sample has none of what the kernel rewrites"
    assert wrong == []
    assert taken == []


def kexplore(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KEXPLORE, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=180, check=False
    )


@functools.cache
def disassembled() -> list[dict[str, Any]]:
    """The listing of vfs_read; it starts the program, so once is enough where nothing changed."""
    result = kexplore("disassemble", "vfs_read", "--json")
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("engine", ["tracefs", "bpf"])
def test_a_place_inside_a_function_is_hit_with_the_registers_of_that_place(engine: str) -> None:
    lines = disassembled()
    # ftrace's call is the first instruction but where an endbr64, or what replaced it, stands before it.
    assert [line["role"] for line in lines[:2]] in (["entry", "ftrace"], ["ftrace", "code"])
    place = next(line for line in lines if line["role"] == "code" and line["can_probe"])
    assert all(line["mnemonic"] for line in lines[:10])
    name = f"vfs_read+{place['offset']:#x}"
    address = f"{place['address']:#x}"
    traced = kexplore("trace", "--json", "--engine", engine, name, address, "--", "cat", "/etc/hostname")
    assert traced.returncode == 0, traced.stderr
    *events, last = [json.loads(line) for line in traced.stdout.splitlines()]
    by_probe = {probe: [event for event in events if event["probe"] == probe] for probe in (name, address)}
    assert by_probe[name]
    counters = last["summary"][name]
    assert len(by_probe[name]) == len(by_probe[address]) == counters["hits"] - counters["filtered"]
    for event in events:
        values = {register: value["raw"] for register, value in event["values"].items()}
        assert list(values) == ["ax", "di", "si", "dx", "cx", "r8", "r9"], "registers, not arguments"
        # Before anything is done to them, right behind ftrace's call site, they still hold what the caller passed.
        assert values["di"] >= 0xFFFF_8000_0000_0000, "a struct file"
        assert 0 < values["si"] < 0x8000_0000_0000, "a user's buffer"


def write(definition: str) -> None:
    """Write one line to the kernel's definitions."""
    descriptor = os.open(TRACEFS / "kprobe_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, f"{definition}\n".encode())
    finally:
        os.close(descriptor)


def test_what_somebody_elses_probe_hides_is_told_and_not_guessed() -> None:
    listed = disassembled()
    place = next(line for line in listed if line["role"] == "code" and line["can_probe"] and len(line["bytes"]) > 6)
    write(f"p:{SCRATCH}/e vfs_read+{place['offset']}")
    enable = TRACEFS / f"events/{SCRATCH}/e/enable"
    try:
        enable.write_text("1")
        disassembled.cache_clear()
        seen = disassembled()
    finally:
        disassembled.cache_clear()
        enable.write_text("0")
        write(f"-:{SCRATCH}/e")
    armed = next(line for line in seen if line["offset"] == place["offset"])
    assert (armed["armed"], armed["mnemonic"]) == (True, None)
    assert {line["offset"] for line in seen} <= {line["offset"] for line in listed}, "no place is made up"
    assert len(seen) > len(listed) - 8, "and nearly all of the others are found again"
