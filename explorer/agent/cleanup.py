"""What dead sessions left in the kernel: found by name, removed on request, never taken from the living."""

from __future__ import annotations

import errno
from typing import List, NamedTuple, Optional

from explorer.agent import session_name
from explorer.agent.tracefs import Tracefs, event_of


class Cleaned(NamedTuple):
    """Groups removed, and what could not be, each with the reason."""

    removed: List[str]
    failed: List[str]


def leftovers(tracefs: Tracefs, root: str) -> List[str]:
    """The sessions that are dead and have left a group or an instance.

    Raises:
        OSError: The lists cannot be read.
    """
    owners = {session_name.owner(group) for group in _groups(tracefs)}
    names = owners | set(filter(session_name.is_session, tracefs.instances()))
    return sorted(name for name in names if name and not session_name.is_alive(root, name))


def clean(tracefs: Tracefs, root: str) -> Cleaned:
    """Remove what dead sessions left.

    Raises:
        OSError: The lists cannot be read.
    """
    cleaned = Cleaned([], [])
    for name in leftovers(tracefs, root):
        left = remove(tracefs, name)
        cleaned.failed.extend(left)
        if not left:
            cleaned.removed.append(name)
    return cleaned


def remove(tracefs: Tracefs, name: str) -> List[str]:
    """Remove what one session left; somebody else may be doing the same.

    Returns:
        What is left, each with the reason.

    Raises:
        OSError: The lists cannot be read.
    """
    instance = tracefs.instance(name)
    if instance.exists:
        try:
            # First of all: it is refused while anybody has a pipe open, so a session whose process cannot be
            # seen from here (in another pid namespace) keeps everything.
            instance.remove()
        except OSError as error:
            if error.errno != errno.ENOENT:
                why = "it is in use" if error.errno == errno.EBUSY else error.strerror
                return [f"instance {name}: {why}"]
    return [thing for group in _groups(tracefs, name) for thing in tracefs.remove_group(group)]


def _groups(tracefs: Tracefs, owner: Optional[str] = None) -> List[str]:
    """All groups of definitions, or those of one session."""
    groups = sorted({event_of(line)[0] for line in tracefs.definitions()})
    return [group for group in groups if owner is None or session_name.owner(group) == owner]
