"""An agent that tests play: speaks the real protocol over a socket pair, about a small made-up kernel."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from collections.abc import Sequence
from typing import Any

from explorer.agent import hit_cost, protocol
from explorer.agent.protocol import Code
from explorer.session.agent_client import AgentClient, Listener
from explorer.session.gated_command import GatedCommand
from explorer.session.running_command import RunningCommand
from explorer.session.target import Progress, Target
from symbols.pt_regs import layout
from tests.btf_builder import BtfBuilder

REGISTERS = [register.name for register in layout("x86_64")]
AT_FDCWD = -100
_TEXT = 0xFFFFFFFF81000000

_WORDS = [
    "alloc",
    "bio",
    "copy",
    "dentry",
    "fault",
    "file",
    "free",
    "init",
    "inode",
    "lock",
    "map",
    "page",
    "put",
    "read",
    "send",
    "skb",
    "task",
    "tcp",
    "unlock",
    "write",
]
FUNCTIONS = [
    "vfs_read",
    "vfs_write",
    "do_sys_openat2",
    "handle_mm_fault",
    "__handle_mm_fault",
    "tcp_sendmsg",
    "schedule",
]
FILLERS = [f"{first}_{second}" for first, second in itertools.product(_WORDS, repeat=2) if first != second]


def kallsyms(names: list[str]) -> bytes:
    """The list of a kernel with these functions, 0x100 bytes each."""
    lines = [f"{_TEXT:016x} T _text", f"{_TEXT:016x} T _stext"]
    lines += [f"{_TEXT + 0x100 * number:016x} T {name}" for number, name in enumerate(names, start=1)]
    lines.append(f"{_TEXT + 0x100 * (len(names) + 1):016x} T _etext")
    return ("\n".join(lines) + "\n").encode()


def address(name: str) -> int:
    """Where ``kallsyms(FUNCTIONS + FILLERS)`` puts a function."""
    return _TEXT + 0x100 * ((FUNCTIONS + FILLERS).index(name) + 1)


def btf() -> bytes:
    """Prototypes of ``do_sys_openat2`` and ``vfs_read``."""
    types = BtfBuilder()
    integer, long, size_t = types.integer("int", 4, True), types.integer("long", 8, True), types.integer("size_t", 8)
    char = types.integer("char", 1, True)
    string = types.pointer(types.const(char))
    how = types.pointer(types.struct("open_how", 24, [("flags", size_t, 0)]))
    file = types.pointer(types.struct("file", 232, []))
    types.function("do_sys_openat2", long, [("dfd", integer), ("filename", string), ("how", how)])
    buffer, position = types.pointer(char), types.pointer(long)
    types.function("vfs_read", long, [("file", file), ("buf", buffer), ("count", size_t), ("pos", position)])
    return types.build()


class ScriptedAgent:
    """The agent's end.

    Attributes:
        facts: What it answers to ``fact`` by name.
        refused: Facts that it refuses: code, message, hint.
        probing: The member of its hello.
        refusals: What it answers to ``arm`` by symbol, or ``symbol%return``: code, message, hint.
        armed: The probes armed at this moment, by number, as they were asked for.
        filters: The filters asked for by ``filter``, by the probe's number.
        focus: The processes that it was told to look at, one list for each time.
        budgets: What it was told that probes may cost: rate and share, one pair for each time.
        prices: What it was told that hits take, one for each time.
        until: What batches with rows say of completeness; None: nothing.
        entries: Of return probes that make calls, the entry's number.
        bpf_refusal: What it answers to ``prepare``, and to ``arm`` where that needs bpf: code, message, hint; None: it
            has bpf.
        prepared: Whether its bpf program is compiled; what asks for that waits.
        filter_refusal: What it answers to ``filter``; "" where it does it.
        requests: The names of all requests so far.
        left: What it says that it could not remove.
        deleting: How many definitions it says that it goes on to delete.
        farewell: Awaited before it answers ``quit``.
        bulk: Awaited before it arms many.
        bulks: How many requests to arm many it has answered.
    """

    def __init__(self) -> None:
        names = FUNCTIONS + FILLERS
        self.facts: dict[str, bytes] = {
            "kallsyms": kallsyms(names),
            "available_filter_functions": ("\n".join(names) + "\n").encode(),
            "kprobe_blacklist": b"",
            "modules": b"",
            "cpuinfo": b"flags\t\t: fpu\n",
            "btf": b"vmlinux\n",
            "btf:vmlinux": btf(),
        }
        self.probing: dict[str, Any] = {"can": True, "code": "", "cause": "", "hint": ""}
        self.euid = 0
        self.release = "6.12.0-test"
        self.refused: dict[str, tuple[Code, str, str]] = {}
        self.refusals: dict[str, tuple[Code, str, str]] = {}
        self.armed: dict[int, dict[str, Any]] = {}
        self.filters: dict[int, Any] = {}
        self.bpf_refusal: tuple[Code, str, str] | None = None
        self.prepared = asyncio.Event()
        self.prepared.set()
        self.filter_refusal = ""
        self.until: int | None = None
        self.entries: dict[int, int] = {}
        self.focus: list[list[int]] = []
        self.prices: list[dict[str, int | None]] = []
        self.budgets: list[tuple[int | None, float | None]] = []
        self.requests: list[str] = []
        self.left: list[str] = []
        self.leftovers: list[str] = []
        self.deadlines: list[float] = []
        self.deleting = 0
        self.farewell = asyncio.Event()
        self.farewell.set()
        self.bulk = asyncio.Event()
        self.bulk.set()
        self.bulks = 0
        self.held: dict[str, asyncio.Event] = {}
        self.ended = asyncio.Event()
        self._counters: dict[int, list[int]] = {}
        self._numbers = itertools.count(1)
        self._clock = itertools.count(5_000_000_000, 1_500_000)
        self._writer: asyncio.StreamWriter | None = None

    def cannot_probe(self, cause: str = "CONFIG_KPROBES is not set", hint: str = "use a kernel that has it") -> None:
        self.probing = {"can": False, "code": Code.KERNEL_CANNOT.value, "cause": cause, "hint": hint}

    def hold(self, fact: str) -> asyncio.Event:
        """Answer nothing to requests for this fact until the event is set."""
        return self.held.setdefault(fact, asyncio.Event())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until the explorer leaves."""
        self._writer = writer
        decoder = protocol.Decoder(protocol.MAX_REQUEST, 0)
        self._send(self.hello())
        try:
            while data := await reader.read(1 << 16):
                for message, _ in decoder.feed(data):
                    if message["op"] != "hello":
                        self.requests.append(message["op"])
                    await self.answer(message)
        finally:
            self.armed.clear()
            writer.close()
            self.ended.set()

    def hit(
        self, symbol: str, values: list[int | str | None], *, kind: str = "entry", comm: str = "cat", pid: int = 154,
        registers: dict[str, int] | None = None, context: str = "task", times: int = 1,
        stacks: tuple[list[int], list[int]] | None = None,
    ) -> None:  # fmt: skip
        """One hit of the armed probe of this symbol, or several at once."""
        number = self.number(symbol, kind)
        saved = struct.pack(f"<{len(REGISTERS)}Q", *((registers or {}).get(name, 0) for name in REGISTERS)).hex()
        self._counters[number][0] += times
        row = [1, pid, pid, comm, context, values, saved, *([] if stacks is None else [stacks])]
        rows = [[number, next(self._clock), *row] for _ in range(times)]
        self._batch(number, rows)

    def count(
        self, symbol: str, *, kind: str = "entry", hits: int = 0, missed: int = 0, filtered: int = 0, not_shown: int = 0
    ) -> None:
        """Hits that are counted only."""
        number = self.number(symbol, kind)
        counters = self._counters[number]
        counters[0] += hits
        counters[1] += missed
        counters[3] += filtered
        counters[4] += not_shown
        self._batch(number, [])

    def cells(
        self, symbol: str, cells: list[tuple[str | int | None, int | None, int, int]], *, kind: str = "entry",
        unpaired: int = 0,
    ) -> None:  # fmt: skip
        """What an aggregating probe has counted: key, step, count, total; its hits are counted with that."""
        number = self.number(symbol, kind)
        hits = sum(count for _, _, count, _ in cells)
        self._counters[number][0] += hits
        self._counters[number][4] += hits
        self._send({"op": "cells", "probe": number, "cells": [list(cell) for cell in cells], "unpaired": unpaired})
        self._batch(number, [])

    def guard(
        self, symbol: str, state: str, *, rate: float, cost: float, enabled: float = 1.0, unseen: int = 0,
        cause: str = "",
    ) -> None:  # fmt: skip
        """What the guard says of an armed probe."""
        report = {"state": state, "rate": rate, "cost": cost, "enabled": enabled, "unseen": unseen, "cause": cause}
        self._send({"op": "batch", "counters": {}, "lost": 0, "rows": [],
                    "guard": {str(self.number(symbol)): report}})  # fmt: skip

    def expire(self) -> None:
        """The deadline has come; every probe had seven hits."""
        self._send({"op": "expired", "counters": {str(number): [7, 0, 0, 0, 7] for number in self.armed}})
        self.armed.clear()

    def number(self, symbol: str, kind: str = "entry") -> int:
        return next(n for n, probe in self.armed.items() if probe["symbol"] == symbol and probe["kind"] == kind)

    def complete(self, until: int, since: dict[int, int] | None = None) -> None:
        """Say until when, and of which probes since when, nothing is missing."""
        told = {"until": until, "since": {str(probe): time for probe, time in (since or {}).items()}}
        self._send({"op": "batch", "counters": {}, "lost": 0, "rows": [], **told})

    def die(self) -> None:
        """End the stream without a word."""
        assert self._writer is not None
        self._writer.close()

    def _batch(self, number: int, rows: list[list[Any]]) -> None:
        complete = {} if self.until is None else {"until": self.until}
        counters = {str(number): self._counters[number]}
        self._send({"op": "batch", "counters": counters, "lost": 0, "rows": rows, **complete})

    def hello(self) -> protocol.Message:
        """Its first message."""
        kernel = {"release": self.release, "version": "#1", "machine": "x86_64", "hostname": "h", "cpus": 2}
        kernel["boot_id"] = "b"
        return {
            "op": "hello", "version": protocol.VERSION, "pid": 1, "euid": self.euid, "python": "3.11", "kernel": kernel,
            "probing": self.probing, "bpf": {"can": False, "cause": "bcc is not installed", "hint": "install it"},
            "tracefs": None, "features": {}, "registers": REGISTERS, "leftovers": self.leftovers,
        }  # fmt: skip

    async def answer(self, message: protocol.Message) -> None:
        """Answer a request."""
        request = message.get("id")
        match message["op"]:
            case "fact":
                await self._fact(request, message["name"])
            case "arm":
                self._send({**self._arm(message["probe"]), "id": request})
            case "arm_many":
                await self.bulk.wait()
                self.bulks += 1
                self._send({"op": "armed_many", "id": request, "results": self._arm_many(message["probes"])})
            case "disarm":
                counters = self._disarm(message["probe"])
                self._send({"op": "disarmed", "id": request, "probe": message["probe"], "counters": counters})
            case "disarm_many":
                counts = {str(number): self._disarm(number) for number in message["probes"]}
                self._send({"op": "disarmed_many", "id": request, "counters": counts})
            case "prepare" if self.bpf_refusal is not None:
                self._send(protocol.error(request, *self.bpf_refusal))
            case "prepare":
                await self.prepared.wait()
                self._send({"op": "prepared", "id": request})
            case "focus":
                self.focus.append(message["pids"])
                self._send({"op": "focused", "id": request})
            case "budget":
                self.budgets.append((message["rate"], message["share"]))
                self._send({"op": "budgeted", "id": request})
            case "prices":
                self.prices.append({name: message[name] for name in hit_cost.Prices._fields})
                self._send({"op": "priced", "id": request})
            case "filter" if self.filter_refusal:
                self._send(protocol.error(request, Code.REFUSED, self.filter_refusal))
            case "filter":
                self.filters[message["probe"]] = message["filter"]
                self._send({"op": "filtered", "id": request, "probe": message["probe"]})
            case "deadline":
                self.deadlines.append(message["seconds"])
                self._send({"op": "deadline", "id": request})
            case "clean":
                removed, self.leftovers = self.leftovers, []
                self._send({"op": "cleaned", "id": request, "removed": removed, "failed": []})
            case "quit":
                await self.farewell.wait()
                self._send({"op": "bye", "id": request, "left": self.left, "deleting": self.deleting})

    async def _fact(self, request: int | None, name: str) -> None:
        if name in self.held:
            await self.held[name].wait()
        if name in self.refused:
            self._send(protocol.error(request, *self.refused[name]))
            return
        if name not in self.facts:
            self._send(protocol.error(request, Code.NO_SUCH_FACT, f"no {name} here"))
            return
        self._send({"op": "fact", "id": request, "encoding": "raw", "last": True}, self.facts[name])

    def _arm_many(self, probes: list[dict[str, Any]]) -> list[protocol.Message]:
        results: list[protocol.Message] = []
        for each in probes:
            results.append(self._arm(each["probe"]))
            if each.get("pair") and "probe" in results[-1]:
                self.entries[results[-1]["probe"]] = results[-2]["probe"]
        return results

    def _arm(self, probe: dict[str, Any]) -> protocol.Message:
        for name in (probe.get("symbol"), f"{probe.get('symbol')}%{probe['kind']}"):
            if name in self.refusals:
                return protocol.error(None, *self.refusals[name])
        asked, stacks = probe.get("engine"), probe.get("stacks")
        by_bpf = asked == "bpf" or bool(stacks) or probe.get("aggregate") is not None
        if by_bpf and self.bpf_refusal is not None:
            return protocol.error(None, *self.bpf_refusal)
        if stacks and asked == "tracefs":
            return protocol.error(None, Code.BAD_REQUEST, "only bpf records stacks", "")
        number = next(self._numbers)
        self.armed[number], self._counters[number] = probe, [0, 0, 0, 0, 0]
        cause = "asked for" if asked == "bpf" else "only bpf records stacks" if stacks else ""
        become = {"engine": "bpf" if by_bpf else "tracefs", "mechanism": "kprobe", "cause": cause}
        return {"op": "armed", "probe": number, "event": f"kx{number}", "definition": "", **become}

    def _disarm(self, number: int) -> list[int]:
        self.armed.pop(number)
        return self._counters[number]

    def _send(self, message: protocol.Message, blob: bytes = b"") -> None:
        assert self._writer is not None
        self._writer.write(protocol.encode(message, blob))


class ScriptedTarget(Target):
    """A kernel whose agent is scripted.

    Args:
        agent: The agent.
        title: As the program shows it.
        steps: What reaching it says on the way.
        gate: Reaching it waits for this.
    """

    summary = "a kernel of the tests"
    runs_commands = True

    def __init__(
        self,
        agent: ScriptedAgent,
        title: str = "scripted",
        steps: tuple[str, ...] = (),
        gate: asyncio.Event | None = None,
    ) -> None:
        self.agent = agent
        self.title = title
        self.failure: Exception | None = None
        self._steps, self._gate = steps, gate
        self._serving: asyncio.Task[None] | None = None

    async def run(self, argv: Sequence[str]) -> RunningCommand:
        return await GatedCommand.piped(argv) if self.runs_commands else await super().run(argv)

    async def connect(self, listener: Listener, progress: Progress) -> AgentClient:
        for step in self._steps:
            progress(step)
        if self._gate is not None:
            await self._gate.wait()
        if self.failure is not None:
            raise self.failure
        ours, theirs = socket.socketpair()
        self._serving = asyncio.create_task(self.agent.serve(*await asyncio.open_connection(sock=theirs)))
        return AgentClient(*await asyncio.open_connection(sock=ours, limit=1 << 22), listener)

    async def close(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving])
            self._serving = None
