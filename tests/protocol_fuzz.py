"""Conversations with the agent that go wrong: valid requests, requests with parts exchanged or damaged, and noise.

All of it follows from a seed, so that what was found can be found again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from explorer.agent import protocol
from explorer.agent.protocol import Message

HARMLESS = ("__x64_sys_getpgid", "do_sys_openat2", "vfs_read", "do_nanosleep", "__x64_sys_getsid", "no_such_function")
"""What may be armed in earnest: nothing that the machine could not bear a thousand times."""
FACTS = ("tracing_readme", "lockdown", "kprobes_optimization", "modules", "cpuinfo", "text:1:1", "btf:../../etc/passwd")
_STRANGE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, -(2**64), 10**400, 0.5, 1e308, float("nan"), float("inf"), "",
    "\0", "\n", "a" * 600, "../../../etc/passwd", "vfs_read\np:x/y vfs_write", "vfs_read;-:kexplore/", "$(reboot)",
    "\udcff\x1b[2J", "%s%n", [], {}, [[]], [None], {"": {}}, [[[[[[[[]]]]]]]], ["~", ["comm"], "*" * 300], [0] * 300,
)  # fmt: skip

_ENDING = ("hello", "credit")
"""What ends the conversation where it is damaged."""


class Conversations:
    """An endless source of requests.

    Args:
        seed: All of them follow from it.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._number = 0

    def frames(self, count: int) -> Iterator[bytes]:
        """So many frames: most of them can be understood, a few end the conversation."""
        for _ in range(count):
            chance = self._random.random()
            if chance < 0.997:
                message = self.request()
                damage = (0, 0, 1, 1, 2, 4) if message["op"] not in _ENDING else (0,) * 9 + (1,)
                for _ in range(self._random.choice(damage)):
                    message = self._damaged(message)
                yield protocol.encode(message)
            else:
                yield self._noise()

    def request(self) -> Message:
        """A request as the explorer would send it."""
        self._number += 1
        draw = self._random
        op = draw.choice(
            ("arm", "arm", "arm", "disarm", "disarm", "filter", "focus", "credit", "budget", "deadline", "fact",
             "clean", "arm_many", "disarm_many", "hello", "count", "uncount", "prices", "prepare")
        )  # fmt: skip
        makers: dict[str, Callable[[], dict[str, Any]]] = {
            "arm": lambda: {"probe": self._probe(), "filter": self._filter()},
            "arm_many": lambda: {"probes": [{"probe": self._probe(), "filter": self._filter()} for _ in range(2)]},
            "disarm": lambda: {"probe": draw.randint(1, 6)},
            "disarm_many": lambda: {"probes": [draw.randint(1, 6), draw.randint(1, 6)]},
            "filter": lambda: {"probe": draw.randint(1, 6), "filter": self._filter()},
            "focus": lambda: {"pids": draw.choice(([], [1], [4_000_000]))},
            "credit": lambda: {"rows": draw.choice((0, 1, 100, 10**9))},
            "budget": lambda: {"rate": draw.choice((None, 10, 1e6)), "share": draw.choice((None, 0.02, 1))},
            "deadline": lambda: {"seconds": draw.choice((None, 3600, 0.001))},
            "fact": lambda: {"name": draw.choice(FACTS), "compress": draw.choice((True, False))},
            "clean": dict[str, Any], "uncount": dict[str, Any], "prepare": dict[str, Any],
            "hello": lambda: {"version": protocol.VERSION},
            "count": lambda: {"functions": [[draw.choice(HARMLESS), ""]], "rate": None, "share": 0.02},
            "prices": lambda: {"ftrace": 700, "jump": 900, "breakpoint": 1500, "returned": 900, "fprobe": None},
        }  # fmt: skip
        return {"op": op, "id": self._number, **makers[op]()}

    def _probe(self) -> Message:
        draw = self._random
        kind = draw.choice(("entry", "entry", "return"))
        values: list[Message] = [{"register": "si", "dereference": [], "type": "s32"}]
        if kind == "return":
            values = [{"return": True, "dereference": [], "type": "s64"}]
        elif draw.random() < 0.5:
            values.append({"register": "si", "dereference": [0], "type": "string"})
        return {
            "symbol": draw.choice(HARMLESS), "module": "", "offset": 0, "kind": kind, "values": values,
            "registers": draw.choice((True, False)),
        }  # fmt: skip

    def _filter(self) -> Any:
        condition: list[Any] = ["<", ["value", 0], self._random.randint(-5, 5)]
        return self._random.choice(
            (None, None, {"kernel": [condition], "agent": []}, {"kernel": [], "agent": [condition]})
        )

    def _damaged(self, thing: Any, depth: int = 0) -> Any:
        """The same with one part exchanged, taken away, or made strange; the operation and its number mostly stay."""
        draw = self._random
        if depth and draw.random() < 0.3:
            return draw.choice(_STRANGE)
        if isinstance(thing, dict) and thing:
            parts = [name for name in thing if depth or name not in ("op", "id")]
            if not parts:
                return thing
            key = draw.choice(parts)
            chance = draw.random()
            if chance < 0.15:
                return {name: value for name, value in thing.items() if name != key}
            if chance < 0.25:
                return {**thing, draw.choice(("extra", "symbol", "address", "offset", "path")): draw.choice(_STRANGE)}
            return {**thing, key: self._damaged(thing[key], depth + 1)}
        if isinstance(thing, list) and thing:
            index = draw.randrange(len(thing))
            return [*thing[:index], self._damaged(thing[index], depth + 1), *thing[index + 1 :]]
        return draw.choice(_STRANGE) if depth else thing

    def _noise(self) -> bytes:
        draw = self._random
        frame = protocol.encode(self.request())
        return draw.choice((
            draw.randbytes(40),
            frame[: draw.randrange(len(frame))] + draw.randbytes(9),
            b"\xff" * 8,
            (10).to_bytes(4, "big") + (0).to_bytes(4, "big") + b'{"op":true',
            (5000).to_bytes(4, "big") + (0).to_bytes(4, "big") + b"[" * 5000,
            protocol.encode({"op": "reboot", "id": 1}),
            protocol.encode({"op": "fact", "id": "1", "name": "modules"}),
            protocol.encode({"op": "credit", "rows": -1}),
            protocol.encode({"op": "hello", "version": 0}),
        ))  # fmt: skip
