"""What a session tells those who show it."""

from __future__ import annotations

import enum
from collections.abc import Callable


class Change(enum.Enum):
    """What a subscriber is told."""

    CATALOG = "names can be listed: told first for those at hand, then for all"
    SEARCH = "the search index is complete"
    TERMS = "all terms of queries can be answered"
    LISTS = "verdicts are known"
    PROTOTYPES = "prototypes are known"
    DEBUGINFO = "debug information told something, or its index came nearer"
    PROBES = "a probe's state or counters changed"
    EVENTS = "the journal grew"
    CALLS = "calls were counted"
    CELLS = "the kernel counted for a probe that aggregates"
    PROBLEM = "something went wrong that nobody asked for"
    GUARD = "the guard began or ceased to hold a probe back"
    ALARM = "entries and returns of a function do not balance"
    EXPIRED = "the time set for probes is over: nothing is armed any more"
    LOST = "the agent is gone"


Subscriber = Callable[[Change], None]
