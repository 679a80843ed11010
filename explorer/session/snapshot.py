"""The file that a kernel's facts are saved in: what it looks like, how it is packed and, above all, how it is read.

===================== =================================================================================
bytes                 what
===================== =================================================================================
8                     ``kxsnap``, 0x1a, line feed: a transfer that takes it for text damages this first
u32                   version of the format, 1 (all numbers big endian)
u32                   length of the index
u32                   CRC-32 of the index
length of the index   the index: one object of JSON, UTF-8
to the end of file    the facts, packed, one behind the other in the order of the index; nothing else
===================== =================================================================================

The index::

    {"taken": "2026-11-22T22:31:05Z", "addresses_left_out": false,
     "hello": {...},                              the agent's first message (explorer.agent.protocol)
     "facts": [{"name": "kallsyms", "size": 5413118, "packed": 861035, "crc": 2774105934}, ...],
     "missing": [{"name": "kprobe_blacklist", "code": "not permitted", "message": "...", "hint": "..."}, ...]}

A fact is a zlib stream that unpacks to ``size`` bytes; ``crc`` is the CRC-32 of its ``packed`` bytes. What the file
lacks stands under ``missing`` with the agent's reason. A recording is one xz stream, read from its beginning to its
end; here every fact is packed for itself, so that what nobody asks for is not unpacked. zlib, because what xz saves
(1.9 MB instead of 2.6 MB) costs ten times as long to pack and three times as long to unpack.

Nothing in the file is believed: it may come from anywhere. All lengths are checked against the size of the file before
anything is read, a fact is never unpacked beyond its ``size``, and what is shown holds no control characters.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import re
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from explorer.agent import protocol
from explorer.errors import AgentError
from explorer.session.hello import Hello
from symbols.errors import KexploreError

VERSION = 1
MAGIC = b"kxsnap\x1a\n"
HEADER = struct.Struct("!8sIII")

LARGEST_INDEX = 2 << 20
"""Bytes of the index: a kernel with all of its 6,000 modules loaded needs half of that."""
LARGEST_FACT = 64 << 20
"""Bytes that a fact may unpack to: the longest list of a kernel with debugging built in is 20 MB."""
LARGEST = 256 << 20
"""Bytes that all facts together may unpack to."""
_MOST_FACTS = 8192
_STEP = 256 * 1024

_NAME = re.compile(r"[a-z_]{1,64}(?::[A-Za-z0-9_-]{1,64})?")
_AGAIN = "take the snapshot again: kexplore snapshot FILE"


class SnapshotError(KexploreError):
    """A file is no snapshot, a damaged one, or one that cannot be written."""


@dataclasses.dataclass(frozen=True, slots=True)
class Fact:
    """Where a fact lies in the file, and what it unpacks to: positions and sizes in bytes."""

    name: str
    start: int
    packed: int
    size: int
    crc: int


@dataclasses.dataclass(frozen=True, slots=True)
class Missing:
    """A fact that the file lacks, and the agent's reason: code for programs, message and hint for people."""

    name: str
    code: str
    message: str
    hint: str


class SnapshotFile:
    """A snapshot that is open for reading; only its index has been read.

    Attributes:
        path: Where it lies.
        taken: When the facts were true.
        addresses_left_out: Whether addresses were replaced by zeros when it was written.
        hello: The first message of the agent that gave the facts.
        facts: What it holds, by name.
        missing: What it lacks, by name.
    """

    def __init__(self, path: Path) -> None:
        """Open it, and check everything but the facts themselves.

        Raises:
            SnapshotError: It is none, damaged, of another version, or larger than this reader takes.
        """
        self.path = path
        self._file = _open(path)
        try:
            index, start, end = self._index()
            try:
                self._take(index, start, end)
            except (KeyError, TypeError, ValueError, RecursionError, AgentError) as error:
                raise self._damaged(f"its index is not understood ({type(error).__name__}: {error})") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; does nothing the second time."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def unpack(self, fact: Fact) -> Iterator[bytes]:
        """A fact, piece by piece.

        Yields:
            One piece at least, however empty the fact is.

        Raises:
            SnapshotError: It is damaged, or does not unpack to what the index says; perhaps after some pieces.
        """
        packed = self._read(fact.start, fact.packed)
        if zlib.crc32(packed) != fact.crc:
            raise self._damaged(f"the checksum of {fact.name} is wrong")
        stream = zlib.decompressobj()
        left = fact.size
        position, feed = 0, b""
        try:
            while True:
                if not feed:
                    feed, position = packed[position : position + _STEP], position + _STEP
                # One byte more than is left tells a stream that goes on; and 0 would mean: without a limit.
                piece = stream.decompress(feed, min(_STEP, left + 1))
                left -= len(piece)
                broken_off = not feed and not piece
                feed = stream.unconsumed_tail
                too_early = stream.eof and (left or stream.unused_data or position < len(packed))
                if left < 0 or broken_off or too_early:
                    raise self._damaged(f"{fact.name} does not unpack to {fact.size:,} bytes")
                if piece or stream.eof:
                    yield piece
                if stream.eof:
                    return
        except zlib.error as error:
            raise self._damaged(f"{fact.name} cannot be unpacked ({error})") from None

    def _index(self) -> tuple[dict[str, Any], int, int]:
        """The index, where it ends, and where the file does."""
        end = os.fstat(self._file).st_size
        if end < HEADER.size or self._read(0, len(MAGIC)) != MAGIC:
            raise SnapshotError(f"{self.path} is no snapshot", "snapshots are made by: kexplore snapshot FILE")
        _, version, length, crc = HEADER.unpack(self._read(0, HEADER.size))
        if version != VERSION:
            raise SnapshotError(
                f"{self.path} is a snapshot of format {version}, this kexplore reads {VERSION}",
                "open it with the kexplore that made it, or take it again",
            )
        start = HEADER.size + length
        if length > LARGEST_INDEX or start > end:
            raise self._damaged("its index reaches beyond its end")
        text = self._read(HEADER.size, length)
        if zlib.crc32(text) != crc:
            raise self._damaged("the checksum of its index is wrong")
        try:
            index = json.loads(text)
        except (ValueError, RecursionError):
            raise self._damaged("its index is no JSON") from None
        if not isinstance(index, dict):
            raise self._damaged("its index is no object")
        return index, start, end

    def _take(self, index: dict[str, Any], start: int, end: int) -> None:
        self.taken = datetime.datetime.fromisoformat(index["taken"])
        if self.taken.tzinfo is None:
            raise ValueError("the moment has no zone")
        self.addresses_left_out = bool(index["addresses_left_out"])
        self.facts: dict[str, Fact] = {}
        self.missing: dict[str, Missing] = {}
        if len(index["facts"]) + len(index["missing"]) > _MOST_FACTS:
            raise ValueError("too many facts")
        for entry in index["facts"]:
            fact = Fact(self._fresh_name(entry), start, *(_size(entry[key]) for key in ("packed", "size", "crc")))
            if fact.size > LARGEST_FACT or fact.packed > _most_packed(fact.size):
                raise ValueError(f"{fact.name} claims {fact.size:,} bytes, {fact.packed:,} when packed")
            self.facts[fact.name] = fact
            start += fact.packed
        for entry in index["missing"]:
            words = [_shown(entry[key]) for key in ("code", "message", "hint")]
            missing = Missing(self._fresh_name(entry), *words)
            self.missing[missing.name] = missing
        if sum(fact.size for fact in self.facts.values()) > LARGEST:
            raise ValueError(f"its facts claim more than {LARGEST >> 20} MiB")
        if start != end:
            raise ValueError(f"its facts end at byte {start:,}, the file at {end:,}")
        # The format has its own version; and what dead sessions had left was no property of the kernel.
        self.hello = {**_checked(index["hello"]), "op": "hello", "version": protocol.VERSION, "leftovers": []}
        Hello.from_message(self.hello)

    def _fresh_name(self, entry: dict[str, Any]) -> str:
        name = entry["name"]
        if not _NAME.fullmatch(name) or name in self.facts or name in self.missing:
            raise ValueError(f"{name!r:.80} is no name of a fact, or stands there twice")
        assert isinstance(name, str)
        return name

    def _read(self, start: int, length: int) -> bytes:
        try:
            data = os.pread(self._file, length, start)
        except OSError as error:
            raise SnapshotError(f"cannot read {self.path}: {error.strerror}") from None
        if len(data) != length:
            raise self._damaged("it became shorter while it was read")
        return data

    def _damaged(self, how: str) -> SnapshotError:
        return SnapshotError(f"{self.path} is damaged: {how}", _AGAIN)


def _open(path: Path) -> int:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe with nobody at its other end blocks
    except OSError as error:
        raise SnapshotError(f"cannot open {path}: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise SnapshotError(f"{path} is no regular file", "snapshots are made by: kexplore snapshot FILE")
    return file


def _most_packed(size: int) -> int:
    """More than zlib ever makes of so many bytes (it adds 5 for every 16 KB that do not get shorter)."""
    return size + (size >> 8) + 64


def _size(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 32:
        raise ValueError(f"{value!r:.80} is no size")
    return value


def _shown(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("a text of it is none, or cannot be shown")
    return value


def _checked(value: Any) -> Any:
    """A part of the agent's message, all of whose texts can be shown."""
    if isinstance(value, dict):
        return {_shown(key): _checked(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_checked(part) for part in value]
    return _shown(value) if isinstance(value, str) else value
