"""A snapshot as a target: the facts of a kernel that is not here, to be searched and read; nothing is armed on it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from explorer.agent import protocol
from explorer.session.hello import Hello
from explorer.session.played_agent import AgentMaker, PlayedAgent, PlayedTarget
from explorer.session.snapshot import Missing, SnapshotError, SnapshotFile


class SnapshotTarget(PlayedTarget):
    """A kernel by its snapshot.

    Args:
        path: The file; read when it is connected.
    """

    def __init__(self, path: Path) -> None:
        self.title = f"snapshot {path.name}"
        self.summary = "what a kernel said of itself, in a file"
        self._path = path
        self._file: SnapshotFile | None = None

    async def prepare(self) -> AgentMaker:
        """Open the file.

        Raises:
            SnapshotError: It is no snapshot, damaged, or of another version.
        """
        file = self._file = SnapshotFile(self._path)
        return lambda reader, writer: _SnapshotAgent(file, reader, writer)

    async def close(self) -> None:
        """Close the file."""
        await super().close()
        if self._file is not None:
            self._file.close()
            self._file = None


class _SnapshotAgent(PlayedAgent):
    """Answers from the file."""

    def __init__(self, file: SnapshotFile, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self._file = file

    def hello(self) -> protocol.Message:
        """The first message of the agent that gave the facts, but nothing can be armed."""
        hello = Hello.from_message(self._file.hello)
        moment = self._file.taken.strftime("%Y-%m-%d %H:%M UTC")
        origin = {
            "taken": moment, "addresses_left_out": self._file.addresses_left_out, "no_probes": hello.no_probes
        }  # fmt: skip
        probing = {
            "can": False, "code": protocol.Code.KERNEL_CANNOT.value,
            "cause": f"this is a snapshot, taken {moment}: nothing is armed on it",
            "hint": "run kexplore on the machine that it was taken on, or in the lab: kexplore --lab",
        }  # fmt: skip
        return {**self._file.hello, "probing": probing, "snapshot": origin}

    async def answer(self, message: protocol.Message) -> None:
        """Facts from the file; everything else is refused."""
        number = message.get("id")
        match message:
            case {"op": "fact", "name": str(name)}:
                await self._fact(number, name)
            case {"op": "arm" | "disarm" | "arm_many" | "disarm_many"}:
                self.send(protocol.error(number, protocol.Code.KERNEL_CANNOT, "nothing is armed on a snapshot"))

    async def _fact(self, number: int | None, name: str) -> None:
        fact = self._file.facts.get(name)
        if fact is None:
            self.send(_refusal(number, name, self._file.missing.get(name)))
            return
        pieces = self._file.unpack(fact)
        try:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                self.send({"op": "fact", "id": number, "encoding": "raw", "last": False}, piece)
                await self.drain()
            self.send({"op": "fact", "id": number, "encoding": "raw", "last": True})
        except SnapshotError as error:
            self.send(protocol.error(number, protocol.Code.FAILED, error.message, error.hint))


def _refusal(number: int | None, name: str, missing: Missing | None) -> protocol.Message:
    if missing is None:
        words = f"not in this snapshot: {name} is none of the facts that it was made of"
        return protocol.error(number, protocol.Code.NO_SUCH_FACT, words)
    code = next((code for code in protocol.Code if code.value == missing.code), protocol.Code.FAILED)
    if code is protocol.Code.NO_SUCH_FACT:  # it says something of the kernel itself, and so is as true of its snapshot
        return protocol.error(number, code, missing.message, missing.hint)
    hint = missing.hint
    if code is protocol.Code.NOT_PERMITTED:
        hint = "take the snapshot as root: sudo kexplore snapshot FILE"
    return protocol.error(number, code, f"not in this snapshot: {missing.message}", hint)
