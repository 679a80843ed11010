"""Counts the records of ftrace's function tracer, page by page: who was called, and how often.

Nothing else of a record is looked at. Pages of a flood, where one record follows the other without anything between,
are counted in one go; all others record by record.
"""

from __future__ import annotations

import itertools
import struct
from typing import Counter

from explorer.agent.event_format import EventFormat
from explorer.agent.ring_buffer import PageLayout, RingBufferError, extent, scan

_KIND = bytes(byte & 31 for byte in range(256))
"""What the low five bits of a record's first byte are: its length in words."""


class CallRecords:
    """Counts calls.

    Args:
        layout: Of the pages.
        description: The ``format`` of ``ftrace/function``.
        own: The thread whose calls are not to be counted: the agent's.

    Raises:
        RingBufferError: The records are not what this decoder knows.
    """

    def __init__(self, layout: PageLayout, description: str, own: int) -> None:
        described = EventFormat.parse(description)
        self._layout = layout
        self._event = described.id
        self._caller, places = described.unpacker(["common_pid", "ip"])
        if places != {"common_pid": 0, "ip": 1}:
            raise RingBufferError("the records of the function tracer are not what this agent knows")
        self._own = own
        self._own_bytes = struct.pack("<i", own)
        size = max(field.offset + field.size for field in described.fields.values())
        words = -(-size // 4)
        self._kind = words
        self._step = 4 + 4 * words
        ip = described.fields["ip"].offset
        self._addresses = struct.Struct(f"<{4 + ip}xQ{self._step - 12 - ip}x")

    def count(self, page: bytes, calls: Counter[int]) -> int:
        """Count a page.

        Args:
            page: As it was read.
            calls: By the address that the function tracer gives a function; what is found is added.

        Returns:
            How many calls were the agent's own, which are not in ``calls``.

        Raises:
            RingBufferError: The page is damaged.
        """
        begin, end = extent(self._layout, page)
        body = page[begin:end]
        if self._is_plain(body):
            calls.update(itertools.chain.from_iterable(self._addresses.iter_unpack(body)))
            return 0
        own = 0
        for record in scan(self._layout, page).records:
            if record[3] != self._event:
                continue
            thread, address = self._caller.unpack_from(page, record[1])
            if thread == self._own:
                own += 1
            else:
                calls[address] += 1
        return own

    def _is_plain(self, body: bytes) -> bool:
        """Whether there is nothing but whole records of calls, and not one of the agent's."""
        count, rest = divmod(len(body), self._step)
        low, high = self._event & 0xFF, self._event >> 8
        return (
            not rest
            and body[:: self._step].translate(_KIND) == bytes([self._kind]) * count
            and body[4 :: self._step] == bytes([low]) * count
            and body[5 :: self._step] == bytes([high]) * count
            and self._own_bytes not in body
        )
