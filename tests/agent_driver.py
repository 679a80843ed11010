"""A small synchronous client of the agent for tests: starts it, asks, and waits for what it says."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from explorer.agent import protocol
from explorer.agent.protocol import Message

AGENT = Path(__file__).parents[1] / "explorer/agent/__main__.py"
SYSTEM_PYTHON = "/usr/bin/python3"
"""What a user who may not enter the project's virtual environment can run."""
PATIENCE = 180.0
"""Seconds; an emulated machine needs a few for what takes milliseconds elsewhere."""


class Refused(Exception):
    """The agent answered a request with an error."""

    def __init__(self, answer: Message) -> None:
        super().__init__(answer["message"])
        self.code: str = answer["code"]
        self.message: str = answer["message"]
        self.hint: str = answer["hint"]


class Agent:
    """A running agent and the conversation with it.

    Args:
        options: Of its command line.
        program: Python's arguments in place of the path of the agent.
        user: Run it as this user id.
        engine: Of the probes that it is asked to arm, unless a request says otherwise.

    Attributes:
        hello: Its first message.
        rows: All rows so far.
        counters: The last counters of each probe.
        lost: The last total of lost events.
        guard: The last word of the guard on each probe.
        calls: The last count of each call site, by its address.
        cells: The last cells of each probe that aggregates: count and total by key and step.
        dropped: Call sites that are not counted any more, and for how many seconds they were.
        batches: How many batches came.
        problems: What it said unasked.
        expired: The final counters that came with a deadline.
    """

    def __init__(
        self,
        *options: str,
        user: int | None = None,
        program: tuple[str, ...] = (str(AGENT),),
        engine: str = "auto",
    ) -> None:
        self._engine = engine
        self._armed: set[int] = set()
        self.process = subprocess.Popen(
            [sys.executable if user is None else SYSTEM_PYTHON, "-I", "-S", "-B", *program, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, user=user,
        )  # fmt: skip
        assert self.process.stdin is not None  # unbuffered: an agent that is gone shows when it is written to
        assert self.process.stdout is not None
        self.input, self._output = self.process.stdin, self.process.stdout.fileno()
        self._decoder = protocol.Decoder(protocol.MAX_ANSWER, protocol.MAX_ANSWER)
        self._arrived: deque[tuple[Message, bytes]] = deque()
        self._number = 0
        self.rows: list[list[Any]] = []
        self.counters: dict[int, list[int]] = {}
        self.lost = 0
        self.guard: dict[int, dict[str, Any]] = {}
        self.calls: dict[str, int] = {}
        self.cells: dict[int, dict[tuple[Any, Any], tuple[int, int]]] = {}
        self.dropped: dict[str, float] = {}
        self.batches = 0
        self.problems: list[Message] = []
        self.expired: dict[int, list[int]] = {}
        self.ended = False
        self.hello = self.next()[0]

    def next(self) -> tuple[Message, bytes]:
        """The next message, whatever it is.

        Raises:
            EOFError: The stream ended.
            TimeoutError: Nothing came.
        """
        deadline = time.monotonic() + PATIENCE
        while not self._arrived:
            if not select.select([self._output], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the agent says nothing")
            data = os.read(self._output, 1 << 20)
            if not data:
                self.ended = True
                raise EOFError("the agent's stream ended")
            self._arrived.extend(self._decoder.feed(data))
        message, blob = self._arrived.popleft()
        if message["op"] == "batch":
            self.batches += 1
            self.rows += message["rows"]
            self.counters.update({int(probe): counts for probe, counts in message["counters"].items()})
            self.lost = message["lost"]
            self.guard.update({int(probe): report for probe, report in message.get("guard", {}).items()})
        elif message["op"] == "calls":
            self.calls.update(message["calls"])
            self.dropped.update(message["dropped"])
        elif message["op"] == "cells":
            cells = self.cells.setdefault(message["probe"], {})
            cells.update({(key, step): (count, total) for key, step, count, total in message["cells"]})
        elif message["op"] == "expired":
            self.expired = {int(probe): counts for probe, counts in message["counters"].items()}
        elif message["op"] == "problem":
            self.problems.append(message)
        return message, blob

    def send(self, op: str, **members: Any) -> int:
        """Send a request; its number."""
        self._number += 1
        self.write(protocol.encode({"op": op, "id": self._number, **members}))
        return self._number

    def write(self, data: bytes) -> None:
        """Write bytes to its input."""
        try:
            os.write(self.input.fileno(), data)
        except BrokenPipeError:
            self.end()
            raise AssertionError(f"the agent ended: {self.problems}") from None

    def answer(self, number: int) -> tuple[Message, bytes]:
        """Wait for a message with this number.

        Raises:
            Refused: It is an error.
        """
        while True:
            message, blob = self.next()
            if message.get("id") == number:
                if message["op"] == "error":
                    raise Refused(message)
                return message, blob

    def ask(self, op: str, **members: Any) -> Message:
        """Send a request and wait for its answer."""
        if self._engine != "auto":
            for armed in [members] if op == "arm" else members["probes"] if op == "arm_many" else []:
                armed["probe"] = {"engine": self._engine, **armed["probe"]}
        answer = self.answer(self.send(op, **members))[0]
        if op == "arm":
            self._armed.add(answer["probe"])
        elif op == "disarm":
            self._armed.discard(members["probe"])
        return answer

    def credit(self, rows: int) -> None:
        """Allow rows."""
        self.write(protocol.encode({"op": "credit", "rows": rows}))

    def fact(self, name: str, *, compress: bool = False) -> tuple[bytes, list[Message]]:
        """A fact's bytes as they were sent, and the messages that carried them."""
        number = self.send("fact", name=name, compress=compress)
        data = b""
        messages: list[Message] = []
        while not messages or not messages[-1]["last"]:
            message, blob = self.answer(number)
            messages.append(message)
            data += blob
        return data, messages

    def arm(self, symbol: str, kind: str = "entry", **members: Any) -> int:
        """Arm a probe; its number."""
        return int(self.ask("arm", probe={"symbol": symbol, "kind": kind, **members})["probe"])

    def disarm(self, probe: int) -> list[int]:
        """Disarm a probe; its final counters."""
        counters: list[int] = self.ask("disarm", probe=probe)["counters"]
        return counters

    def start_afresh(self) -> None:
        """Disarm what is armed, lift the focus, and forget what was said."""
        for probe in list(self._armed):
            self.disarm(probe)
        self.ask("focus", pids=[])
        self.ask("budget", rate=None, share=0.02)
        self.rows.clear()
        self.counters.clear()
        self.guard.clear()

    def wait(self, condition: Callable[[], bool]) -> None:
        """Take messages until a condition holds."""
        while not condition():
            self.next()

    def wait_for_quiet(self, seconds: float) -> None:
        """Take messages until none has come for so long."""
        while self._arrived or select.select([self._output], [], [], seconds)[0]:
            self.next()

    def rows_of(self, probe: int) -> list[list[Any]]:
        """The rows of one probe so far."""
        return [row for row in self.rows if row[0] == probe]

    def quit(self) -> list[str]:
        """Ask it to end, and wait; what it left behind."""
        left: list[str] = self.ask("quit")["left"]
        assert self.end() == 0
        return left

    def end(self) -> int:
        """Wait for its end; the exit code."""
        try:
            while True:
                self.next()
        except EOFError:
            return self.process.wait(PATIENCE)

    def survivors(self) -> list[int]:
        """The processes that outlive it to clean up."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children]

    def kill_with_survivors(self) -> None:
        """End it so that nobody is left to clean up."""
        for child in self.survivors():
            os.kill(child, signal.SIGKILL)
        self.stop(signal.SIGKILL)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, if it still runs, and close the pipes."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(PATIENCE)
        self.input.close()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def agent(*options: str, user: int | None = None, engine: str = "auto") -> Iterator[Agent]:
    """An agent that ends with the block."""
    running = Agent(*options, user=user, engine=engine)
    try:
        yield running
        if running.process.poll() is None:
            running.input.close()
            running.end()
    finally:
        running.stop()
