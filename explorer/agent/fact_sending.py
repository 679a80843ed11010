"""Facts on their way to the explorer: in chunks, one fact after the other, between whatever else is to be done."""

from __future__ import annotations

import collections
from typing import Deque, Iterator, NamedTuple, Tuple

from explorer.agent import protocol
from explorer.agent.connection import Connection
from explorer.agent.facts import Facts
from explorer.agent.failure import RequestError
from explorer.agent.protocol import Code, Message

_MOST_READINGS = 64
"""Facts waiting to be sent above which no more requests are read."""


class _Reading(NamedTuple):
    """A fact that is being sent."""

    request: int
    encoding: str
    chunks: Iterator[Tuple[bytes, bool]]


class FactSending:
    """The facts asked for and not yet sent whole."""

    def __init__(self, facts: Facts, connection: Connection) -> None:
        self._facts = facts
        self._connection = connection
        self._readings: Deque[_Reading] = collections.deque()

    def __len__(self) -> int:
        return len(self._readings)

    @property
    def full(self) -> bool:
        """Whether no more should be asked for now."""
        return len(self._readings) >= _MOST_READINGS

    def add(self, request: int, message: Message) -> None:
        """Take a ``fact`` request.

        Raises:
            RequestError: It is none.
        """
        name, compress = message.get("name"), message.get("compress", False)
        if not isinstance(name, str) or not isinstance(compress, bool):
            raise RequestError(Code.BAD_REQUEST, "a fact has a name, and compress is true or false")
        encoding = "zlib" if compress else "raw"
        self._readings.append(_Reading(request, encoding, self._facts.chunks(name, compress)))

    def read_on(self) -> None:
        """Send the next chunk; there is a fact waiting."""
        reading = self._readings[0]
        try:
            data, last = next(reading.chunks)
        except RequestError as error:
            self._readings.popleft()
            self._connection.send(protocol.error(reading.request, error.code, error.message, error.hint))
            return
        if last:
            self._readings.popleft()
        answer = {"op": "fact", "id": reading.request, "encoding": reading.encoding, "last": last}
        self._connection.send(answer, data)
