"""``kexplore doctor``: what this kernel, terminal and installation allow, and a fix for each thing missing."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import importlib.metadata
import json
import os
import shutil
import sys
from collections.abc import Iterator

from explorer.commands import doctor_engines
from explorer.commands.connection import session
from explorer.commands.finding import Finding, Standing
from explorer.errors import AgentError, ExitCode
from explorer.session.hello import Hello
from explorer.session.loading import Stage
from explorer.session.session import Session
from explorer.terminal import check_terminal
from symbols.errors import KexploreError

_FACTS = {
    "available_filter_functions": ("ftrace list", "tells what can be probed"),
    "kprobe_blacklist": ("blacklist", "tells what kprobes refuse"),
    "btf:vmlinux": ("types", "BTF gives prototypes"),
}
_PACKAGES = ("textual", "rapidfuzz", "pyelftools", "capstone")


def run(options: argparse.Namespace) -> int:
    """Print the findings; OK whatever they are."""
    for finding in asyncio.run(_examine(options.kernel)):
        if options.json:
            print(json.dumps({**dataclasses.asdict(finding), "standing": finding.standing.value}))
        else:
            fix = f"\n{'':20}fix: {finding.fix}" if finding.fix else ""
            print(f"{finding.standing.value:>4}  {finding.topic:<14}{finding.text}{fix}")
    return ExitCode.OK


async def _examine(snapshot: str | None) -> list[Finding]:
    async with session(frozenset({Stage.NAMES}), snapshot=snapshot) as current:
        assert current.hello is not None
        hello = current.hello
        findings = list(_kernel(hello))
        findings += [await _fact(current, name, topic, use) for name, (topic, use) in _FACTS.items()]
        findings.append(await doctor_engines.debuginfo(current))
        findings.append(_addresses(current))
        findings += doctor_engines.engines(hello)
        if hello.snapshot is None:
            findings.append(doctor_engines.bpf(hello))
        findings += doctor_engines.hit_cost(hello, current.prices)
    findings.append(_terminal())
    findings += _installation()
    return findings


def _kernel(hello: Hello) -> Iterator[Finding]:
    yield Finding("kernel", Standing.GOOD, f"Linux {hello.release} {hello.machine}, {hello.cpus} CPUs")
    if hello.snapshot is not None:
        by = "root" if hello.euid == 0 else f"user {hello.euid}"
        yield Finding("snapshot", Standing.GOOD, f"taken {hello.snapshot.taken} by {by}")
        if hello.no_probes:
            yield Finding("probing", Standing.BAD, hello.no_probes)
    elif hello.euid == 0:
        yield Finding("privilege", Standing.GOOD, "the agent is root")
    else:
        yield Finding("privilege", Standing.LESS, f"the agent is user {hello.euid}: browsing only", "sudo kexplore")
    if hello.snapshot is not None:
        yield Finding("arming", Standing.LESS, hello.cause, hello.hint)
    elif hello.can_probe:
        yield Finding("probing", Standing.GOOD, "kprobes can be armed through tracefs")
    else:
        yield Finding("probing", Standing.BAD, hello.cause, hello.hint)
    known = sorted(name for name, there in hello.features.items() if there)
    if known:
        yield Finding("features", Standing.GOOD, " ".join(known))
    if hello.snapshot is not None:
        return
    if hello.leftovers:
        yield Finding("leftovers", Standing.BAD, "dead sessions left " + ", ".join(hello.leftovers), "kexplore clean")
    else:
        yield Finding("leftovers", Standing.GOOD, "no dead session left anything armed")


async def _fact(current: Session, name: str, topic: str, use: str) -> Finding:
    try:
        size = len(await current.fact(name))
    except AgentError as error:
        return Finding(topic, Standing.LESS, f"{error.message} ({use})", error.hint)
    return Finding(topic, Standing.GOOD, f"{name}, {size:,} bytes ({use})")


def _addresses(current: Session) -> Finding:
    assert current.catalog is not None
    names = f"{len(current.catalog):,} symbols"
    if current.catalog.addresses_hidden:
        assert current.hello is not None
        fix = "run as root, or: sysctl kernel.kptr_restrict=1" if current.hello.snapshot is None else ""
        words = f"{names}, addresses {current.hello.addresses_hidden_by}: names only, no offsets"
        return Finding("addresses", Standing.LESS, words, fix)
    return Finding("addresses", Standing.GOOD, f"{names} with addresses")


def _terminal() -> Finding:
    size = shutil.get_terminal_size((0, 0))
    try:
        check_terminal(os.environ, sys.stdin.isatty(), sys.stderr.isatty())
    except KexploreError as error:
        return Finding("terminal", Standing.LESS, error.message, error.hint)
    colours = "no colour (NO_COLOR)" if os.environ.get("NO_COLOR") else os.environ.get("COLORTERM") or "by TERM"
    return Finding("terminal", Standing.GOOD, f"{os.environ['TERM']}, {size.columns}x{size.lines}, colours: {colours}")


def _installation() -> Iterator[Finding]:
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES]
    yield Finding("python", Standing.GOOD, f"{sys.version.split()[0]}; {', '.join(versions)}")
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        yield Finding("lab", Standing.LESS, "QEMU is not installed", "kexplore lab installs it when run as root")
    else:
        yield Finding("lab", Standing.GOOD, f"{qemu}; /dev/kvm {'exists' if os.path.exists('/dev/kvm') else 'absent'}")
