"""Packing facts into a snapshot; ``explorer.session.snapshot`` has the format."""

from __future__ import annotations

import dataclasses
import datetime
import json
import zlib
from typing import Any

from explorer.agent import protocol
from explorer.session.snapshot import HEADER, LARGEST, LARGEST_FACT, MAGIC, VERSION, Missing
from explorer.session.values import printable

_LEVEL = 6
"""Of zlib: 9 saves one part in a hundred and takes four times as long."""


class SnapshotBuilder:
    """Packs facts, one after the other.

    Args:
        hello: The first message of the agent that gives them.
        taken: The moment, with its zone.
        addresses_left_out: What the file is to say about that; the facts that come are packed as they are.

    Attributes:
        size: Bytes of the facts so far, unpacked.
        missing: What could not be had so far.
    """

    def __init__(self, hello: protocol.Message, taken: datetime.datetime, *, addresses_left_out: bool) -> None:
        moment = taken.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._index = {"taken": moment, "addresses_left_out": addresses_left_out, "hello": _printable(hello)}
        self._facts: list[dict[str, Any]] = []
        self._packed: list[bytes] = []
        self.size = 0
        self.missing: list[Missing] = []

    def add(self, name: str, data: bytes) -> None:
        """Take a fact; one that no reader would take is noted as missing."""
        if len(data) > LARGEST_FACT or self.size + len(data) > LARGEST:
            words = f"{name} has {len(data):,} bytes, more than a snapshot takes"
            self.miss(Missing(name, protocol.Code.FAILED.value, words, ""))
            return
        packed = zlib.compress(data, _LEVEL)
        self._facts.append({"name": name, "size": len(data), "packed": len(packed), "crc": zlib.crc32(packed)})
        self._packed.append(packed)
        self.size += len(data)

    def miss(self, missing: Missing) -> None:
        """Note a fact that could not be had."""
        self.missing.append(missing)

    @property
    def count(self) -> int:
        """How many facts it holds."""
        return len(self._facts)

    def pieces(self) -> list[bytes]:
        """The whole file, in pieces."""
        missing = [_printable(dataclasses.asdict(entry)) for entry in self.missing]
        text = json.dumps({**self._index, "facts": self._facts, "missing": missing}).encode()
        return [HEADER.pack(MAGIC, VERSION, len(text), zlib.crc32(text)), text, *self._packed]


def _printable(value: Any) -> Any:
    """The same with texts that can be shown."""
    if isinstance(value, dict):
        return {printable(key): _printable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_printable(part) for part in value]
    return printable(value) if isinstance(value, str) else value
