"""Which process a thread belongs to, also when it is gone by the time its events are read.

The trace itself carries thread ids only. The kernel's ``task_newtask`` event, recorded in our instance, tells of every
thread that is born while we watch; /proc tells of those that were there before.
"""

from __future__ import annotations

import os
from typing import Dict, List, NamedTuple, Optional, Set

from explorer.agent.event_format import EventFormat
from explorer.agent.ring_buffer import Record, RingBufferError

NEW_TASK = "task/task_newtask"
_CLONE_THREAD = 0x00010000  # include/uapi/linux/sched.h
_MOST_REMEMBERED = 1 << 16
_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO of include/linux/proc_ns.h


class Birth(NamedTuple):
    """A new thread, who created it, and whether it belongs to its creator's process."""

    thread: int
    creator: int
    joins_creator: bool


class Births:
    """Decodes the records of ``NEW_TASK``.

    Args:
        description: The event's ``format``.

    Raises:
        RingBufferError: It is not what this decoder knows.
    """

    def __init__(self, description: str) -> None:
        described = EventFormat.parse(description)
        self.event = described.id
        self._struct, self._places = described.unpacker(["common_pid", "pid", "clone_flags"])

    def decode(self, page: bytes, record: Record) -> Birth:
        """Decode one record.

        Raises:
            RingBufferError: It is shorter than its format says.
        """
        _, start, end, _ = record
        if start + self._struct.size > end:
            raise RingBufferError(f"a record of {end - start} bytes is shorter than its format")
        raw = self._struct.unpack_from(page, start)
        creator, thread, flags = (raw[self._places[name]] for name in ("common_pid", "pid", "clone_flags"))
        return Birth(thread, creator, bool(flags & _CLONE_THREAD))


class ProcessTable(Dict[int, Optional[int]]):
    """Thread ids to process ids, for the machine whose file tree begins at ``root``.

    Every thread has an entry, found when it is asked for: None when it was gone by then.
    """

    def __init__(self, root: str) -> None:
        super().__init__()
        self._proc = os.path.join(root, "proc")
        # The trace has the numbers of the initial namespace; in a container's, /proc has others.
        namespace = os.path.join(self._proc, "self/ns/pid")
        self._trust_proc = os.path.exists(namespace) and os.stat(namespace).st_ino == _INITIAL_PID_NAMESPACE

    def born(self, birth: Birth) -> None:
        """A thread was created; it may have the number of one that is gone."""
        process = self[birth.creator] if birth.joins_creator else birth.thread
        self._make_room()
        self[birth.thread] = process

    def __missing__(self, thread: int) -> Optional[int]:
        self._make_room()
        process = self[thread] = self._ask(thread) if thread else 0  # 0 is the idle thread, not in /proc
        return process

    def forget(self) -> None:
        """Births may have gone unseen: numbers known so far may have new owners."""
        self.clear()

    def _make_room(self) -> None:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()

    def _ask(self, thread: int) -> Optional[int]:
        if not self._trust_proc:
            return None
        try:
            with open(os.path.join(self._proc, str(thread), "status"), encoding="utf-8", errors="replace") as status:
                for line in status:
                    if line.startswith("Tgid:"):
                        return int(line.split()[1])
        except (FileNotFoundError, ProcessLookupError):
            pass  # gone: that is the answer
        return None


def with_descendants(root: str, pids: List[int]) -> Set[int]:
    """The threads of these processes and of all their descendants, as they are at this moment."""
    proc = os.path.join(root, "proc")
    children: Dict[int, List[int]] = {}
    for entry in os.listdir(proc):
        if entry.isdigit():
            try:
                with open(os.path.join(proc, entry, "stat"), encoding="utf-8", errors="replace") as stat:
                    # The name in parentheses may hold anything, parentheses too; the parent is the second after it.
                    parent = int(stat.read().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry))
    threads: Set[int] = set()
    waiting = list(pids)
    seen: Set[int] = set()
    while waiting:
        pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        waiting.extend(children.get(pid, []))
        try:
            threads.update(int(thread) for thread in os.listdir(os.path.join(proc, str(pid), "task")))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return threads
