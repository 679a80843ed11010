"""The name that a session gives to its groups and its instance: ``kexplore_PID_STARTTIME``.

By it a later session can tell whether the owner still lives. A session of many probes has several groups: the first
has its name, the others have a number behind it. The instance in which it counts calls has ``_calls`` behind its name.
"""

from __future__ import annotations

import os
import re
from typing import Optional

_NAME = re.compile(r"kexplore_(\d{1,10})_(\d{1,20})(?:_calls)?")
_GROUP = re.compile(rf"({_NAME.pattern})(?:_\d{{1,6}})?")


def own(root: str) -> str:
    """This process's."""
    return f"kexplore_{os.getpid()}_{_start_time(root, 'self')}"


def calls(root: str) -> str:
    """This process's, for the instance in which it counts calls."""
    return f"{own(root)}_calls"


def is_session(name: str) -> bool:
    """Whether this is the name of a session, and so of its instance."""
    return _NAME.fullmatch(name) is not None


def group(session: str, number: int) -> str:
    """The name of a session's groups, counted from 0."""
    return f"{session}_{number}" if number else session


def owner(group: str) -> str:
    """The session that a group belongs to; "" for other people's."""
    match = _GROUP.fullmatch(group)
    return match.group(1) if match else ""


def is_alive(root: str, name: str) -> bool:
    """Whether the session of this name still runs."""
    match = _NAME.fullmatch(name)
    return match is not None and _start_time(root, match.group(1)) == int(match.group(2))


def _start_time(root: str, process: str) -> Optional[int]:
    """When a process started, in clock ticks since boot; None when there is no such process."""
    try:
        with open(os.path.join(root, "proc", process, "stat"), encoding="utf-8", errors="replace") as stat:
            # Field 22; the name before it, in parentheses, may hold spaces and parentheses itself.
            fields = stat.read().rpartition(")")[2].split()
            # Killed, but not yet noticed by whoever started it: it does nothing any more.
            return None if fields[0] in ("Z", "X") else int(fields[19])
    except (FileNotFoundError, ProcessLookupError):
        return None
