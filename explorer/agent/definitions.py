"""Our definitions in the kernel: made when a probe needs one, kept while anything is armed, deleted together.

A definition outlives its probe because deleting a dynamic event empties the whole buffer of every instance where it
was ever enabled (kernel/trace/trace_dynevent.c; seen on 6.12), and with it the events of other probes. So a disarmed
probe's event is disabled only, used again when the same probe is armed again, and deleted when none is armed any more.

They are made in groups of a few, each of which is deleted by one write: once they have been recorded, that takes a
fifth of the time of deleting one by one, most of it waiting (17 and 84 ms each, emulated), but nobody else can define,
enable or delete an event of any kind meanwhile. Between two groups everybody else has his turn, and so has this agent's
loop.
"""

from __future__ import annotations

import itertools
import os
from typing import Dict, List, Mapping, Optional, Tuple

from explorer.agent import probe_definition, session_name
from explorer.agent.event_format import HitDecoder
from explorer.agent.probe_definition import ProbeRequest
from explorer.agent.recorder import Recorder
from explorer.agent.tracefs import Tracefs

GROUP_SIZE = 32
"""Definitions that are deleted by one write."""


class DefinitionRefused(Exception):
    """The kernel refused a definition.

    Attributes:
        error: What the write gave.
        complaint: What the kernel's log says of it; "" when it says nothing.
    """

    def __init__(self, error: OSError, complaint: str) -> None:
        super().__init__(complaint or error.strerror)
        self.error = error
        self.complaint = complaint


class Definition:
    """One definition, and the probe that uses it at the moment, if one does.

    Attributes:
        name: The event's; no other event of the machine has it, as the kernel's counts tell events apart by name only.
        event: ``GROUP/NAME``.
        line: As it was written to the kernel.
        decoder: For its records, once they were described.
        identity: The event's id in records, once they were described; 0 before.
        probe: The number of the probe that uses it.
    """

    def __init__(self, group: str, name: str, place: str, request: ProbeRequest) -> None:
        self.name = name
        self.event = f"{group}/{name}"
        self.line = request.definition(group, name, place)
        self.place = place
        self.request = request
        self.decoder: Optional[HitDecoder] = None
        self.identity = 0
        self.probe: Optional[int] = None
        self.counts_before = (0, 0)

    def since_taken(self, profile: Mapping[str, Tuple[int, int]]) -> Tuple[int, int]:
        """Hits and missed since its present probe took it."""
        hits, missed = profile[self.name]
        return hits - self.counts_before[0], missed - self.counts_before[1]

    def settle(self, profile: Mapping[str, Tuple[int, int]], hits: int) -> None:
        """Disabled: what the kernel counted beyond these hits of its present probe was never recorded."""
        self.counts_before = profile[self.name][0] - hits, self.counts_before[1]


class Definitions:
    """The definitions of one session.

    Args:
        tracefs: Where they are made.
        session: Its name.
    """

    def __init__(self, tracefs: Tracefs, session: str) -> None:
        self._tracefs = tracefs
        self._session = session
        self._groups: Dict[str, List[Definition]] = {}
        self._by_place: Dict[Tuple[ProbeRequest, str], List[Definition]] = {}
        self._by_id: Dict[int, Definition] = {}
        self._undescribed: List[Definition] = []
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def take(self, request: ProbeRequest, place: str) -> Definition:
        """A definition for a probe: an unused one if there is one, or a new one.

        Raises:
            DefinitionRefused: The kernel refused it.
            RequestError: It is over one of the kernel's limits.
        """
        for known in self._by_place.get((request, place), ()):
            if known.probe is None:
                profile = self._tracefs.profile()
                if known.name in profile:  # else somebody deleted it meanwhile
                    known.counts_before = profile[known.name]
                    return known
        prefix = f"kx{os.getpid()}_{next(self._numbers)}"
        name = probe_definition.event_name(prefix, request.symbol or place)
        group = self._group_with_room()
        definition = Definition(group, name, place, request)
        try:
            self._tracefs.define(definition.line)
        except OSError as error:
            raise DefinitionRefused(error, self._tracefs.complaint(definition.line)) from None
        self._groups.setdefault(group, []).append(definition)
        self._by_place.setdefault((request, place), []).append(definition)
        self._undescribed.append(definition)
        return definition

    def _group_with_room(self) -> str:
        names = (session_name.group(self._session, number) for number in itertools.count())
        return next(name for name in names if len(self._groups.get(name, ())) < GROUP_SIZE)

    def describe(self, recorder: Recorder) -> None:
        """Learn how the records of new definitions look.

        Raises:
            RingBufferError: Not as this agent expects.
        """
        while self._undescribed:
            definition = self._undescribed.pop()
            described = recorder.describe(definition.event)
            request = definition.request
            definition.decoder = HitDecoder(described, request.value_fields, request.register_fields)
            definition.identity = described.id
            self._by_id[described.id] = definition

    def by_id(self, identity: int) -> Optional[Definition]:
        """The definition whose events have this id."""
        return self._by_id.get(identity)

    def decoders(self) -> Dict[int, Tuple[int, HitDecoder]]:
        """The numbers of all probes and the decoders of their records, by the ids of their events."""
        return {
            identity: (definition.probe, definition.decoder)
            for identity, definition in self._by_id.items()
            if definition.probe is not None and definition.decoder is not None
        }

    def delete_group(self) -> List[str]:
        """Delete one group of them; there is one, and none of it may be in use.

        Returns:
            What could not be deleted, each with the reason.
        """
        group, members = self._groups.popitem()
        for definition in members:
            self._by_id.pop(definition.identity, None)
            self._by_place[definition.request, definition.place].remove(definition)
        self._undescribed = [definition for definition in self._undescribed if definition not in members]
        try:
            return self._tracefs.remove_group(group)
        except OSError as error:
            return [f"group {group}: {error.strerror}"]
