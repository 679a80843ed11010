"""Where tracefs is mounted, and what to say when it is not."""

from __future__ import annotations

import os
from typing import Optional

from explorer.agent.failure import RequestError
from explorer.agent.protocol import Code

PLACES = ("sys/kernel/tracing", "sys/kernel/debug/tracing")
"""Where a kernel mounts it: its own mount point since 4.1, inside debugfs before and still."""


def find(root: str) -> Optional[str]:
    """The directory under ``root`` where tracefs is mounted and may be entered; None when there is none."""
    for place in PLACES:
        path = os.path.join(root, place)
        if os.path.exists(os.path.join(path, "README")):
            return path
    return None


def absent(root: str) -> RequestError:
    """Why ``find`` found nothing."""
    path = os.path.join(root, PLACES[0])
    if os.path.isdir(path) and not os.access(path, os.X_OK):
        return RequestError(Code.NOT_PERMITTED, "tracefs is open to root only", "run kexplore with sudo")
    return RequestError(Code.KERNEL_CANNOT, "tracefs is not mounted", f"as root: mount -t tracefs tracefs /{PLACES[0]}")
