"""The labs of the test suite: boots them, has the tests run there, and writes what it hears to stdout.

A process of its own, started by ``tests.lab_layer``, so that labs work while other tests run in pytest's process; these
fork, which only a process without threads should. One line of JSON on stdin says what is to be run. One lab
starts at once; a second when stdin ends, which says that a processor is free. Each takes the next file of tests when it
is done with one. Each line written is a record: ``say`` (what a lab is doing), ``report`` and ``finished`` (from
``tests.lab_guest``), or ``lost``: why no more will come of ``tests``.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from explorer.lab.kernel_image import ALL_SERIES
from explorer.lab.machine import Lab
from symbols.errors import KexploreError

_SILENCE_SECONDS = 600.0
"""How long one test may take, emulation included."""

Record = dict[str, Any]


class _LostError(Exception):
    """A lab will not finish its tests."""


class _Suite:
    """What is to be run, and where it is told.

    Args:
        request: ``arguments`` of the pytest in the labs; ``files``, each with its ``series`` and ``tests``.
        lines: Takes the records. Their reader may be busy for minutes, and no lab waits for it.
    """

    def __init__(self, request: Record, lines: queue.SimpleQueue[bytes | None]) -> None:
        self._arguments = request["arguments"]
        self._lines = lines
        self._waiting: dict[str, deque[list[str]]] = {}
        for file in request["files"]:
            self._waiting.setdefault(file["series"], deque()).append(file["tests"])

    async def run(self) -> None:
        """Run everything."""
        free = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin, free.set)
        await asyncio.gather(self._work(), self._help(free))

    async def _help(self, free: asyncio.Event) -> None:
        await free.wait()
        asyncio.get_running_loop().remove_reader(sys.stdin)
        await self._work()

    async def _work(self) -> None:
        """Run files in a lab, and in one of another kernel when there are no more for the first."""
        while (series := next((series for series, files in self._waiting.items() if files), None)) is not None:
            await self._work_on(series)

    async def _work_on(self, series: str) -> None:
        files = self._waiting[series]
        tests = files.popleft()
        guest = _Guest(self.tell)
        try:
            async with await guest.boot(self._arguments, series):
                await guest.run(tests)
                while files:
                    tests = files.popleft()
                    await guest.run(tests)
        except (KexploreError, _LostError) as error:
            cause = "\n".join([str(error), getattr(error, "hint", ""), *guest.last_words()])
            self.tell({"lost": cause, "tests": [test for test in tests if test not in guest.finished]})

    def tell(self, record: Record) -> None:
        """Write a record."""
        self._lines.put(json.dumps(record).encode() + b"\n")


class _Guest:
    """A lab and the pytest in it.

    Attributes:
        finished: Tests that were reported.
    """

    def __init__(self, tell: Callable[[Record], None]) -> None:
        self.finished: set[str] = set()
        self._tell = tell
        self._lab: Lab | None = None
        self._partial = b""
        self._said: deque[str] = deque(maxlen=60)
        self._heard = asyncio.Event()

    async def boot(self, arguments: list[str], series: str) -> Lab:
        """The lab, booted, with a pytest that waits for tests."""
        self._lab = await Lab.boot(
            [sys.executable, "-m", "tests.lab_guest", *arguments],
            progress=lambda text: self._tell({"say": text}),
            output=self._take,
            cwd=os.getcwd(),
            env={"PYTEST_DEBUG_TEMPROOT": "/run", "HYPOTHESIS_STORAGE_DIRECTORY": "/run/hypothesis"},
            series=ALL_SERIES[series],
            bcc=True,
        )
        return self._lab

    async def run(self, tests: list[str]) -> None:
        """Have tests run.

        Raises:
            _LostError: They are not all reported.
            LabError: The machine ended.
        """
        assert self._lab is not None
        await self._lab.send_input(json.dumps(tests).encode() + b"\n")
        end = asyncio.create_task(self._lab.wait())
        try:
            while not self.finished.issuperset(tests):
                heard = asyncio.create_task(self._heard.wait())
                done, _ = await asyncio.wait({heard, end}, timeout=_SILENCE_SECONDS, return_when="FIRST_COMPLETED")
                heard.cancel()
                self._heard.clear()
                if end in done:  # all that it said before was taken before
                    raise _LostError(f"the lab's pytest ended with {end.result()} before this test")
                if not done:
                    raise _LostError(f"no word from the lab for {_SILENCE_SECONDS:.0f} s")
        finally:
            end.cancel()

    def last_words(self) -> list[str]:
        """What was said there, and on the console."""
        return [*self._said, *([self._lab.console] if self._lab is not None else [])]

    async def _take(self, descriptor: int, data: bytes) -> None:
        self._heard.set()
        if descriptor != 1:
            self._said.extend(data.decode(errors="replace").splitlines())
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for record in map(json.loads, lines):
            self.finished.update(record.get("finished", ()))
            self._tell(record)


def _write(lines: queue.SimpleQueue[bytes | None]) -> None:
    while (line := lines.get()) is not None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def main() -> None:
    """Read the request and run it."""
    request = json.loads(sys.stdin.readline())
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    writer = threading.Thread(target=_write, args=(lines,))
    writer.start()
    try:
        asyncio.run(_Suite(request, lines).run())
    finally:
        lines.put(None)
        writer.join()


if __name__ == "__main__":
    main()
