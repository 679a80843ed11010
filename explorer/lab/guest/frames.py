"""The frames between the lab's host and guest; all over one port, so that no exit code overtakes the output before it.

A frame is ``u8 kind | u32 length, big endian | that many bytes``. The host's end is ``explorer.lab.channel``.
"""

from __future__ import annotations

import os
import struct

PORT = "kexplore.lab"
"""Name of the virtio port."""
PIECE = 32768
"""Bytes that a virtio port takes in one write."""
HEADER = struct.Struct("!BI")

# Host to guest.
CONFIGURATION = 0  # JSON, once, first; its members are the keyword arguments of explorer.lab.channel.Channel.configure
INPUT = 1  # for the command's stdin; empty: its end
RESIZE = 2  # JSON [rows, columns]

# Guest to host. STDOUT and STDERR have the numbers of their descriptors.
STDOUT = 1
STDERR = 2
READY = 3  # empty: the kernel is up, the command is about to start
EXIT = 4  # one byte: the exit code; nothing follows
BROKEN = 5  # text: the guest could not be prepared


class HostGoneError(Exception):
    """The other end of the port was closed."""


class GuestChannel:
    """The guest's end, blocking.

    Args:
        descriptor: The open port.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._pending = bytearray()

    def send(self, kind: int, data: bytes = b"") -> None:
        """Write a frame; blocks while the host does not read."""
        frame = memoryview(HEADER.pack(kind, len(data)) + data)
        while frame:
            frame = frame[os.write(self.descriptor, frame[:PIECE]) :]

    def receive(self) -> list[tuple[int, bytes]]:
        """Read once; the frames that are complete now.

        Raises:
            HostGoneError: There will be no more.
        """
        data = os.read(self.descriptor, PIECE)
        if not data:
            raise HostGoneError
        self._pending += data
        frames = []
        while len(self._pending) >= HEADER.size:
            kind, length = HEADER.unpack_from(self._pending)
            end = HEADER.size + length
            if len(self._pending) < end:
                break
            frames.append((kind, bytes(self._pending[HEADER.size : end])))
            del self._pending[:end]
        return frames
