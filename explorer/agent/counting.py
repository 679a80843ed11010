"""The requests that count calls, and what is told of them unasked."""

from __future__ import annotations

import time
from typing import Callable, Dict, List, Optional

from explorer.agent import budget, capabilities, protocol, session_name
from explorer.agent.call_counter import CallCounter
from explorer.agent.call_filter import Function
from explorer.agent.failure import RequestError
from explorer.agent.probe_definition import parse_function
from explorer.agent.protocol import Code, Message

_DRAIN = 0.05
"""Seconds between two readings of the buffers."""
_TELL = 0.5
"""Seconds between two messages, and between two looks at what counting costs."""


class Counting:
    """One count at a time.

    Args:
        root: The directory that the machine's file tree begins at.
        send: Takes messages for the explorer.
    """

    def __init__(self, root: str, send: Callable[[Message], None]) -> None:
        self._root = root
        self._send = send
        self._counter: Optional[CallCounter] = None
        self._told: Dict[int, int] = {}
        self._drain_after = self._tell_after = 0.0
        self.operations: Dict[str, Callable[[int, Message], None]] = {"count": self._count, "uncount": self._uncount}

    def due(self) -> float:
        """When ``turn`` has something to do, in seconds of the monotonic clock."""
        return self._drain_after if self._counter is not None else float("inf")

    def turn(self, comfortable: bool) -> None:
        """Do what is due.

        Args:
            comfortable: Whether the explorer has taken what was sent before.
        """
        counter = self._counter
        if counter is None or time.monotonic() < self._drain_after:
            return
        counter.drain()
        now = time.monotonic()
        self._drain_after = now + _DRAIN  # from the end of the work: a flood does not get all of the processor
        if now >= self._tell_after:
            self._tell_after = now + _TELL
            counter.look()
            if comfortable:
                self._send({"op": "calls", **self._news(counter)})

    def close(self) -> List[str]:
        """End the count; what could not be removed."""
        counter, self._counter = self._counter, None
        if counter is not None:
            try:
                counter.close()
            except OSError as error:
                return [f"instance {session_name.calls(self._root)}: {error.strerror}"]
        return []

    def _count(self, request: int, message: Message) -> None:
        if self._counter is not None:
            raise RequestError(Code.BAD_REQUEST, "one count at a time", "end the one before")
        listed = message.get("functions")
        if not isinstance(listed, list) or not 0 < len(listed) <= protocol.MOST_COUNTED:
            raise RequestError(Code.BAD_REQUEST, f"a count has 1 to {protocol.MOST_COUNTED:,} functions")
        functions = list(dict.fromkeys(Function(*parse_function(each)) for each in listed))
        allowed = budget.parse(message)
        capabilities.require(self._root)
        counter = self._counter = CallCounter(self._root, session_name.calls(self._root), functions, allowed)
        self._told = {}
        self._drain_after, self._tell_after = counter.began + _DRAIN, counter.began + _TELL
        self._send({"op": "counting", "id": request, "places": counter.places, "absent": list(counter.absent)})

    def _uncount(self, request: int, message: Message) -> None:
        counter, self._counter = self._counter, None
        if counter is None:
            raise RequestError(Code.BAD_REQUEST, "nothing is being counted")
        counter.stop()
        self._send({"op": "counted", "id": request, **self._news(counter)})

    def _news(self, counter: CallCounter) -> Message:
        changed = {address: count for address, count in counter.calls.items() if count != self._told.get(address)}
        self._told.update(changed)
        return {
            "calls": changed, "lost": counter.lost, "own": counter.own, "dropped": counter.dropped,
            "seconds": time.monotonic() - counter.began,
        }  # fmt: skip
