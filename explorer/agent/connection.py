"""The agent's end of the stream to the explorer: non-blocking both ways, with a bounded queue of what is to be sent."""

from __future__ import annotations

import collections
import os
import select
import stat
import time
from typing import Deque, Iterator, Tuple

from explorer.agent import protocol
from explorer.agent.protocol import Message

_READ_SIZE = 64 * 1024
COMFORT = 512 * 1024
"""Bytes waiting to be sent above which nothing that can wait is added."""
_LIMIT = 8 * 1024 * 1024
"""Bytes waiting above which no more requests are read: a peer that asks and never listens is made to wait."""
_CONNECT_SECONDS = 60.0


class StreamEnd(Exception):
    """The peer is gone."""


class Connection:
    """A stream of protocol frames over a pair of descriptors (the same twice for a device)."""

    def __init__(self, source: int, sink: int) -> None:
        self.source = source
        self.sink = sink
        self._decoder = protocol.Decoder(protocol.MAX_REQUEST, 0)
        self._queue: Deque[memoryview] = collections.deque()
        self._waiting = 0
        for descriptor in (source, sink):
            os.set_blocking(descriptor, False)

    @classmethod
    def over_port(cls, path: str) -> Connection:
        """Open a virtio-serial port and wait until somebody holds the other end; what is written before is dropped.

        Raises:
            OSError: There is no such device, or nobody came.
        """
        port = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        if stat.S_ISCHR(os.fstat(port).st_mode):
            poll = select.epoll()
            # The port says "hang-up" as long as the host's end is closed; edge-triggered, it speaks again on a change.
            poll.register(port, select.EPOLLOUT | select.EPOLLET)
            deadline = time.monotonic() + _CONNECT_SECONDS
            while all(event & select.EPOLLHUP for _, event in poll.poll(max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"nobody opened the other end of {path}")
            poll.close()
        return cls(port, port)

    @property
    def waiting(self) -> int:
        """Bytes that are queued and not yet sent."""
        return self._waiting

    @property
    def comfortable(self) -> bool:
        """Whether there is room for what can wait."""
        return self._waiting < COMFORT

    @property
    def wants_requests(self) -> bool:
        """Whether it makes sense to read."""
        return self._waiting < _LIMIT

    def send(self, message: Message, blob: bytes = b"") -> None:
        """Queue a frame and send what can be sent at once.

        Raises:
            StreamEnd: The peer is gone.
        """
        frame = protocol.encode(message, blob)
        self._queue.append(memoryview(frame))
        self._waiting += len(frame)
        self.flush()

    def flush(self) -> None:
        """Send as much as the stream takes now.

        Raises:
            StreamEnd: The peer is gone.
        """
        while self._queue:
            head = self._queue[0]
            try:
                sent = os.write(self.sink, head)
            except BlockingIOError:
                return
            except OSError as error:
                raise StreamEnd(str(error)) from None
            self._waiting -= sent
            if sent == len(head):
                self._queue.popleft()
            else:
                self._queue[0] = head[sent:]

    def finish(self, seconds: float) -> None:
        """Send what is queued, waiting for the peer so long at most.

        Raises:
            StreamEnd: The peer is gone, or does not read.
        """
        deadline = time.monotonic() + seconds
        self.flush()
        while self._queue:
            patience = deadline - time.monotonic()
            if patience <= 0 or not _writable(self.sink, patience):
                raise StreamEnd("the peer does not read")
            self.flush()

    def hang_up(self) -> None:
        """Let go of the stream, and of stderr: the peer sees their end, and what is said from now on goes nowhere."""
        self._queue.clear()
        self._waiting = 0
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for descriptor in {self.source, self.sink, 2}:  # not closed: whatever is opened next would have their numbers
            os.dup2(nowhere, descriptor)
        os.close(nowhere)

    def receive(self) -> Iterator[Tuple[Message, bytes]]:
        """The messages that have arrived.

        Raises:
            StreamEnd: The peer is gone.
            ProtocolError: It sent something else.
        """
        try:
            data = os.read(self.source, _READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            raise StreamEnd(str(error)) from None
        if not data:
            raise StreamEnd("the stream ended")
        yield from self._decoder.feed(data)


def _writable(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))
