"""The name that a session gives to its group and its instance: ``kexplore_PID_STARTTIME``.

By it a later session can tell whether the owner still lives.
"""

from __future__ import annotations

import os
import re
from typing import Optional

_NAME = re.compile(r"kexplore_(\d{1,10})_(\d{1,20})")


def own(root: str) -> str:
    """This process's."""
    return f"kexplore_{os.getpid()}_{_start_time(root, 'self')}"


def is_session(name: str) -> bool:
    """Whether a group or an instance was named by a session."""
    return _NAME.fullmatch(name) is not None


def is_alive(root: str, name: str) -> bool:
    """Whether the session of this name still runs."""
    match = _NAME.fullmatch(name)
    return match is not None and _start_time(root, match.group(1)) == int(match.group(2))


def _start_time(root: str, process: str) -> Optional[int]:
    """When a process started, in clock ticks since boot; None when there is no such process."""
    try:
        with open(os.path.join(root, "proc", process, "stat"), encoding="utf-8", errors="replace") as stat:
            # Field 22; the name before it, in parentheses, may hold spaces and parentheses itself.
            return int(stat.read().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None
