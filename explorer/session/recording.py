"""A conversation with an agent, kept in a file and played back as a target: the same program, no kernel touched.

The file is xz over frames of the protocol, each ``{"op": "entry", "t": seconds, "from": "agent" or "explorer",
"message": {...}}`` with the message's blob; the first is ``{"op": "recording", "format": 2}``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import lzma
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from explorer.agent import protocol
from explorer.errors import AgentError, UsageError
from explorer.session.agent_client import AgentClient, Listener
from explorer.session.guard import Guarded
from explorer.session.hello import Hello
from explorer.session.played_agent import AgentMaker, PlayedAgent, PlayedTarget
from explorer.session.running_command import RunningCommand
from explorer.session.target import Progress, Target
from symbols.errors import KexploreError

FORMAT = 2
_ROW = (9, 10)
"""Members of a row of a batch."""
_NO_COUNTERS = [0] * len(protocol.COUNTER_NAMES)
LARGEST = 256 << 20
"""Bytes that a recording may unpack to."""


class RecordingError(KexploreError):
    """A file is no recording, or a damaged one."""


class Recorder(Target):
    """Another target, with all that is said to and by its agent written down.

    Args:
        inner: The target that is really looked at.
        path: The file to write; overwritten.
    """

    def __init__(self, inner: Target, path: Path) -> None:
        self._inner = inner
        self._path = path
        self._file: lzma.LZMAFile | None = None
        self.title = inner.title
        self.summary = inner.summary

    async def connect(self, listener: Listener, progress: Progress) -> AgentClient:
        """Connect the inner target and begin to write."""
        client = await self._inner.connect(listener, progress)
        file = lzma.open(self._path, "wb", preset=6)  # noqa: SIM115 - open as long as the session
        file.write(protocol.encode({"op": "recording", "format": FORMAT}))
        start = time.monotonic()

        def write(sender: str, message: protocol.Message, blob: bytes) -> None:
            entry = {"op": "entry", "t": round(time.monotonic() - start, 4), "from": sender, "message": message}
            file.write(protocol.encode(entry, blob))

        for request in client.asked_early():
            write("explorer", request, b"")
        client.observer = write
        self._file = file
        return client

    async def run(self, argv: Sequence[str]) -> RunningCommand:
        """Start a command on the inner target."""
        return await self._inner.run(argv)

    async def close(self) -> None:
        """Finish the file and release the inner target."""
        if self._file is not None:
            self._file.close()
            self._file = None
        await self._inner.close()


@dataclasses.dataclass(slots=True)
class _Take:
    """What a recording holds of one armed probe; ``since`` is when it was armed, in seconds of the recording."""

    number: int
    answer: protocol.Message
    since: float


@dataclasses.dataclass(slots=True)
class Recording:
    """A recording taken apart: what was answered to which question.

    Attributes:
        hello: The agent's first message.
        facts: By name, the answers in order with their blobs; an error is one answer.
        takes: By place and kind, each armed probe.
        batches: When each came, in seconds of the recording, and what it held.
    """

    hello: protocol.Message
    facts: dict[str, list[tuple[protocol.Message, bytes]]]
    takes: dict[str, _Take]
    batches: list[tuple[float, protocol.Message]]

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Read a recording.

        Raises:
            RecordingError: It is none, damaged, or too large.
        """
        recording = cls({}, {}, {}, [])
        asked: dict[int, protocol.Message] = {}
        for moment, sender, message, blob in _entries(path):
            try:
                if sender == "explorer":
                    if isinstance(message.get("id"), int):
                        asked[message["id"]] = message
                elif message["op"] == "hello":
                    if recording.hello:
                        raise ValueError("a second hello")
                    Hello.from_message(message)
                    recording.hello = message
                else:
                    recording._take(moment, asked.get(message.get("id", -1)), message, blob)
            except (KeyError, TypeError, ValueError, AttributeError, AgentError) as error:
                words = f"{path} is damaged: a message is not understood ({type(error).__name__}: {error})"
                raise RecordingError(words, "record it again") from None
        if not recording.hello:
            raise RecordingError(f"{path} holds no session", "record it again")
        return recording

    def _take(self, moment: float, question: protocol.Message | None, message: protocol.Message, blob: bytes) -> None:
        """Note what the agent said."""
        match message["op"], question:
            case "batch", _:
                _check_batch(message, len(self.hello["registers"]))
                self.batches.append((moment, message))
            case "fact" | "error", {"op": "fact", "name": str(name)}:
                self.facts.setdefault(name, []).append((message, blob))
            case "armed", {"op": "arm", "probe": probe}:
                self.takes[_place(probe)] = _Take(int(message["probe"]), message, moment)
            case "armed_many", {"op": "arm_many", "probes": probes}:
                for each, result in zip(probes, message["results"], strict=True):
                    if "probe" in result:
                        answer = {"op": "armed", "id": message["id"], **result}
                        self.takes[_place(each["probe"])] = _Take(int(result["probe"]), answer, moment)


def _check_batch(message: protocol.Message, registers: int) -> None:
    """Make sure that a batch can be played, before anything is.

    Args:
        message: The batch.
        registers: How many a row has, if it has any.

    Raises:
        TypeError, ValueError, KeyError: It cannot.
    """
    int(message["lost"])
    for key, counters in message["counters"].items():
        int(key)
        if len(counters) != len(protocol.COUNTER_NAMES) or not all(type(count) is int for count in counters):
            raise ValueError("counters are no numbers")
    for key, report in message.get("guard", {}).items():
        int(key)
        Guarded.from_message(report)
    times = [message.get("until", 0), *message.get("since", {}).values()]
    if not all(type(time) is int for time in times) or not all(map(str.isdecimal, message.get("since", {}))):
        raise ValueError("what is complete is told in no numbers")
    for row in message["rows"]:
        if len(row) not in _ROW or type(row[0]) is not int:
            raise ValueError("a row has other members")
        if row[8] is not None and len(protocol.unpack_registers(row[8])) != registers:
            raise ValueError("a row has other registers")


def _entries(path: Path) -> Iterator[tuple[float, str, protocol.Message, bytes]]:
    decoder = protocol.Decoder(protocol.MAX_ANSWER, protocol.MAX_ANSWER)
    total = 0
    known = False
    try:
        with lzma.open(path) as file:
            while data := file.read(1 << 20):
                total += len(data)
                if total > LARGEST:
                    raise RecordingError(f"{path} unpacks to over {LARGEST >> 20} MiB")
                for message, blob in decoder.feed(data):
                    if known:
                        inner = message["message"]
                        yield float(message["t"]), message["from"], {"op": "", **inner}, blob
                    elif message != {"op": "recording", "format": FORMAT}:
                        raise RecordingError(f"{path} is no recording of this version", "record it again")
                    known = True
    except OSError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror or error}") from None
    except (lzma.LZMAError, EOFError, protocol.ProtocolError, KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"{path} is damaged: {error}", "record it again") from None
    if decoder.partial:
        raise RecordingError(f"{path} ends in the middle", "record it again")


def _place(probe: dict[str, Any]) -> str:
    where = probe.get("address") or f"{probe.get('module', '')}:{probe.get('symbol')}+{probe.get('offset', 0)}"
    return f"{where}%{probe['kind']}"


class ReplayTarget(PlayedTarget):
    """A recording played back: facts at once, events at their pace from the moment that the first probe is armed.

    Args:
        path: The recording.
        pace: Seconds of the recording per second; 0 plays all events at once.
    """

    def __init__(self, path: Path, pace: float = 1.0) -> None:
        self.title = f"recording {path.name}"
        self.summary = "a session on another kernel, played back"
        self._path = path
        self._pace = pace

    async def prepare(self) -> AgentMaker:
        """Read the file.

        Raises:
            RecordingError: It cannot be read.
        """
        recording = await asyncio.to_thread(Recording.read, self._path)
        return lambda reader, writer: _Player(recording, self._pace, reader, writer)


class _Player(PlayedAgent):
    """The agent of a recording."""

    def __init__(
        self, recording: Recording, pace: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        super().__init__(reader, writer)
        self._recording = recording
        self._pace = pace
        self._events: asyncio.Task[None] | None = None
        self._counters: dict[int, list[int]] = {}
        """Of the probes that are armed, by number."""

    def hello(self) -> protocol.Message:
        """The first message, as it was."""
        return self._recording.hello

    def ended(self) -> None:
        """Stop the events."""
        if self._events is not None:
            self._events.cancel()

    async def answer(self, message: protocol.Message) -> None:
        """Answer as was answered then."""
        number = message.get("id")
        match message:
            case {"op": "fact", "name": name} if name in self._recording.facts:
                for answer, blob in self._recording.facts[name]:
                    self.send({**answer, "id": number}, blob)
            case {"op": "fact", "name": name}:
                words = f"the recording does not hold {name}"
                self.send(protocol.error(number, protocol.Code.NO_SUCH_FACT, words))
            case {"op": "arm", "probe": probe}:
                self.send({**self._arm(probe), "id": number})
            case {"op": "arm_many", "probes": probes}:
                self.send({"op": "armed_many", "id": number, "results": [self._arm(each["probe"]) for each in probes]})
            case {"op": "disarm", "probe": probe}:
                counters = self._counters.pop(probe, _NO_COUNTERS)
                self.send({"op": "disarmed", "id": number, "probe": probe, "counters": counters})
            case {"op": "disarm_many", "probes": probes}:
                all_counters = {probe: self._counters.pop(probe, _NO_COUNTERS) for probe in probes}
                self.send({"op": "disarmed_many", "id": number, "counters": all_counters})
            case {"op": "filter"}:
                words = "a recording plays what was recorded: it cannot be filtered"
                self.send(protocol.error(number, protocol.Code.KERNEL_CANNOT, words, "t: look at a running kernel"))

    def _arm(self, probe: dict[str, Any]) -> protocol.Message:
        """The answer, but for the request's number."""
        take = self._recording.takes.get(_place(probe))
        if take is None:
            held = ", ".join(sorted(place.strip(":").replace("+0%entry", "") for place in self._recording.takes))
            words = f"the recording holds no events of {probe.get('symbol') or hex(probe['address'])}"
            return protocol.error(None, protocol.Code.KERNEL_CANNOT, words, f"it holds: {held}")
        self._counters[take.number] = _NO_COUNTERS
        if self._events is None or self._events.done():
            self._events = asyncio.create_task(self._play(take.since))
        return take.answer

    async def _play(self, start: float) -> None:
        """Play everything since a moment, as far as it is of probes that are armed by then: in one order, as it was."""
        before = start
        for moment, batch in self._recording.batches:
            if moment < start:
                continue
            if self._pace:
                await asyncio.sleep((moment - before) / self._pace)
            before = moment
            counters = {key: value for key, value in batch["counters"].items() if int(key) in self._counters}
            self._counters.update((int(key), value) for key, value in counters.items())
            rows = [row for row in batch["rows"] if row[0] in self._counters]
            guard = {key: report for key, report in batch.get("guard", {}).items() if int(key) in self._counters}
            complete: protocol.Message = {name: batch[name] for name in ("until", "since") if name in batch}
            if counters or rows or guard or complete:
                told = {"counters": counters, "lost": batch["lost"], "rows": rows, **complete}
                self.send({"op": "batch", **told, **({"guard": guard} if guard else {})})


def replay(text: str) -> ReplayTarget:
    """The target of ``--replay FILE``.

    Raises:
        UsageError: There is no such file.
    """
    path = Path(text)
    if not path.is_file():
        raise UsageError(f"there is no recording {text!r}", "recordings are made by: make screenshots")
    return ReplayTarget(path)
