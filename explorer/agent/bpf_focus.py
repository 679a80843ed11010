"""The processes that probes of the bpf engine look at: some, and whoever descends of them."""

from __future__ import annotations

import os
from typing import List, Sequence

from explorer.agent import bpf_layout, processes
from explorer.agent.bpf_calls import BpfCalls
from explorer.agent.bpf_program import EXIT, FORK, Program
from explorer.agent.bpf_tables import KEY
from explorer.agent.event_format import EventFormat
from explorer.agent.tracefs import Tracefs


class Focus:
    """What stands in the program's map of processes.

    Args:
        program: Whose.
        calls: To the kernel.
        root: The directory that the machine's file tree begins at.
    """

    def __init__(self, program: Program, calls: BpfCalls, root: str) -> None:
        self._program = program
        self._calls = calls
        self._root = root
        self._links: List[int] = []

    def follow(self, pids: Sequence[int]) -> None:
        """Have these processes in it, and from now on all that they start; none: nobody.

        Raises:
            OSError: The kernel refused.
        """
        self.close()
        if pids:
            # First: who is born from now on is told; who was born before is found by looking.
            for function, event in ((self._program.born, FORK), (self._program.gone, EXIT)):
                point = self._calls.tracepoint(EventFormat.parse(Tracefs(self._root).format(event)).id)
                try:
                    self._links.append(self._calls.attach(function, point, 0))
                finally:
                    os.close(point)  # the link holds it
        for key in list(self._calls.keys(self._program.focus, KEY.size)):
            self._calls.delete(self._program.focus, key)
        self._add(pids)
        if pids:
            self._add(sorted(processes.with_descendants(self._root, list(pids))))

    def _add(self, pids: Sequence[int]) -> None:
        for pid in pids:
            self._calls.update(self._program.focus, KEY.pack(pid), bpf_layout.FOCUSED)

    def close(self) -> None:
        """Follow nobody."""
        while self._links:
            os.close(self._links.pop())
