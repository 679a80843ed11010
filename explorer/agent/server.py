"""The agent's one loop: requests in, answers and batches out, and the end that leaves nothing behind.

It ends when the stream does, on SIGTERM, SIGINT or SIGHUP, when the peer breaks the protocol, and on any error that it
does not know how to answer; whichever way, everything is disarmed first.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from typing import Any, Callable, Dict, List, Optional, Sequence, Set, Tuple

from explorer.agent import budget, bulk, capabilities, hit_cost, protocol, survivor
from explorer.agent.batches import TICK, Batches
from explorer.agent.cleanup import clean
from explorer.agent.connection import Connection, StreamEnd
from explorer.agent.counting import Counting
from explorer.agent.deadline import Deadline
from explorer.agent.definitions import GROUP_SIZE
from explorer.agent.fact_sending import FactSending
from explorer.agent.facts import Facts
from explorer.agent.failure import RequestError
from explorer.agent.guarded_engine import GuardedEngine
from explorer.agent.last_words import LastWords
from explorer.agent.protocol import Code, Message, ProtocolError, VersionError
from explorer.agent.survivor import Survivor
from explorer.agent.tracefs import Tracefs

_SURVEY = 1.0
"""Seconds between two readings of the kernel's own counts."""
_REST = 1.0
"""Seconds without an armed probe after which the definitions of disarmed ones are deleted."""
_MOST_WAITING = 64
"""Requests that wait for the bpf program, until which no more are read."""
_CHANGE_THE_KERNEL = frozenset({"arm", "arm_many", "count"})
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _End(Exception):
    """The session is to end."""


class Server:
    """One session with one explorer.

    Args:
        connection: To the explorer.
        root: The directory that the machine's file tree begins at.
        machine: The architecture as ``uname -m`` prints it.
    """

    def __init__(self, connection: Connection, root: str, machine: str) -> None:
        self._connection = connection
        self._root = root
        self._engine = GuardedEngine(root, machine)
        self._facts = FactSending(Facts(root), connection)
        self._batches = Batches(self._engine, connection)
        self._counting = Counting(root, connection.send)
        self._selector = selectors.DefaultSelector()
        self._watched: Set[int] = set()
        self._waiting: List[Tuple[int, Message]] = []
        self._drain_after = self._survey_after = self._rest_after = 0.0
        self._silenced = False
        self._skipped_told = 0
        self._stop = False
        self._last_words = LastWords(connection)
        self._deadline = Deadline()
        self._survivor: Optional[Survivor] = None
        self._operations: Dict[str, Callable[[int, Message], None]] = {
            "fact": self._facts.add, "arm": self._arm, "disarm": self._disarm, "arm_many": self._arm_many,
            "disarm_many": self._disarm_many, "filter": self._filter, "focus": self._set_focus,
            "budget": self._set_budget, "prices": self._set_prices, "deadline": self._set_deadline,
            "prepare": self._prepare, "clean": self._clean, "quit": self._quit, **self._counting.operations,
        }  # fmt: skip

    def run(self) -> int:
        """Serve until the end; the process's exit code."""
        wakeup, signalled = os.pipe()
        os.set_blocking(signalled, False)
        signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: self._end_by_signal())
        self._selector.register(wakeup, selectors.EVENT_READ)
        self._selector.register(self._connection.source, selectors.EVENT_READ)
        code = 0
        try:
            self._connection.send(capabilities.hello(self._root))
            while not self._stop:
                self._turn()
        except (StreamEnd, _End):
            pass
        except VersionError as error:
            self._last_words.problem(str(error), "run the same kexplore on both sides")
            code = 1
        except ProtocolError as error:
            self._last_words.fault(f"the explorer does not speak the protocol: {error}")
            code = 1
        except Exception as error:
            self._last_words.failure(error)
            code = 1
        finally:
            left = self._counting.close() + self._engine.close()
            if self._survivor is not None and not left:  # else it goes on trying
                self._survivor.dismiss()
        if left:
            self._last_words.problem(f"left behind: {'; '.join(left)}", "kexplore clean")
        return code

    def _end_by_signal(self) -> None:
        self._stop = True

    def _turn(self) -> None:
        self._engine.describe()  # here and not on arming: nobody waits for it now
        now = time.monotonic()
        self._watch(now)
        ready = {key.fd for key, _ in self._selector.select(self._patience(now))}
        if self._stop:
            return
        if self._connection.sink in ready or self._connection.waiting:
            self._connection.flush()
        if self._connection.source in ready and self._wants_requests:
            for message, _ in self._connection.receive():
                self._handle(message)
        now = time.monotonic()
        self._look_at_compilation(now, ready)
        if self._deadline.passes(now):
            self._expire()
        if self._engine.armed:
            self._look_at_events(now, ready)
            if now >= self._engine.guard_due():
                self._engine.guard(self._batches.keep)
                self._batches.news = True
        elif self._engine.unused and now >= self._rest_after:
            self._report_left(self._engine.rest())
        self._counting.turn(self._connection.comfortable)
        if self._batches.news and now >= self._batches.due and self._connection.comfortable:
            self._batches.flush()
        if self._facts and self._connection.comfortable:
            self._facts.read_on()

    def _watch(self, now: float) -> None:
        """Register what this turn should wake for."""
        source, sink = self._connection.source, self._connection.sink
        writing = selectors.EVENT_WRITE if self._connection.waiting else 0
        reading = selectors.EVENT_READ if self._wants_requests else 0
        if source == sink:
            self._set_interest(source, reading | writing)
        else:
            self._set_interest(source, reading)
            self._set_interest(sink, writing)
        wanted = set(self._engine.filenos()) if self._looks_for_events(now) else set()
        if self._engine.compilation is not None:
            wanted.add(self._engine.compilation.fileno())
        for gone in self._watched - wanted:
            self._selector.unregister(gone)
        for new in wanted - self._watched:
            self._selector.register(new, selectors.EVENT_READ)
        self._watched = wanted

    def _set_interest(self, descriptor: int, events: int) -> None:
        known = self._selector.get_map().get(descriptor)
        if known is None and events:
            self._selector.register(descriptor, events)
        elif known is not None and not events:
            self._selector.unregister(descriptor)
        elif known is not None and known.events != events:
            self._selector.modify(descriptor, events)

    def _looks_for_events(self, now: float) -> bool:
        return self._engine.armed and now >= self._drain_after

    def _patience(self, now: float) -> Any:
        """Seconds until something is due; None: for ever."""
        if self._facts and self._connection.comfortable:
            return 0
        due = min(self._due(), self._counting.due(), self._deadline.due, self._compiled_by())
        return None if due == float("inf") else max(0.0, due - now)

    def _due(self) -> float:
        """When something is due of what is armed."""
        if self._engine.armed:
            due = min(self._survey_after, self._engine.guard_due())
            if not self._looks_for_events(time.monotonic()) or self._engine.owes_word:
                due = min(due, self._drain_after)
            if self._batches.news and self._connection.comfortable:
                due = min(due, self._batches.due)
            return due
        return self._rest_after if self._engine.unused else float("inf")

    def _look_at_events(self, now: float, ready: set[int]) -> None:
        if now >= self._survey_after:
            self._survey()
            if self._connection.comfortable:
                self._send_cells()
            self._survey_after = now + _SURVEY
        elif not ready.isdisjoint(self._engine.filenos()) or self._owes_round(now):
            emptied = self._engine.drain(self._batches.keep)
            # Measured from the end of the work: a flood gets a share of the processor, not all of it.
            self._drain_after = time.monotonic() + TICK if emptied else now
        else:
            return
        self._batches.news = True

    def _compiled_by(self) -> float:
        return self._engine.compilation.overdue if self._engine.compilation is not None else float("inf")

    def _look_at_compilation(self, now: float, ready: set[int]) -> None:
        compilation = self._engine.compilation
        if compilation is not None and (compilation.fileno() in ready or now >= compilation.overdue):
            self._watched.discard(compilation.fileno())
            self._selector.unregister(compilation.fileno())
            self._engine.compiled()
            waiting, self._waiting = self._waiting, []
            for request, message in waiting:
                self._operate(request, message)

    def _owes_round(self, now: float) -> bool:
        return self._engine.owes_word and now >= self._drain_after

    def _send_cells(self, probes: Optional[Sequence[int]] = None) -> None:
        """Tell what aggregating probes have newly counted; of all, or of some."""
        for probe, (cells, unpaired) in self._engine.cells(probes).items():
            self._connection.send({"op": "cells", "probe": probe, "cells": cells, "unpaired": unpaired})

    def _survey(self) -> None:
        try:
            self._engine.survey(self._batches.keep)
        except RequestError as silenced:
            if not self._silenced:
                self._connection.send({"op": "problem", "message": silenced.message, "hint": silenced.hint})
            self._silenced = True
        else:
            self._silenced = False
        self._tell_skipped()

    def _tell_skipped(self) -> None:
        """Tell of hits that are in no probe's counts: of the first, and whenever they have doubled."""
        skipped = self._engine.skipped
        if skipped > 2 * self._skipped_told:
            self._skipped_told = skipped
            message = f"{skipped:,} hits of bpf probes were not counted: another bpf program was running there"
            self._connection.send({"op": "problem", "message": message, "hint": "e on the probe, or --engine tracefs"})

    @property
    def _wants_requests(self) -> bool:
        return self._connection.wants_requests and not self._facts.full and len(self._waiting) < _MOST_WAITING

    def _handle(self, message: Message) -> None:
        name = message["op"]
        if name == "credit":
            self._add_credit(message)
            return
        if name == "hello":
            protocol.check_version(message)
            return
        if name not in self._operations:
            raise ProtocolError(f"there is no operation {name!r}")
        request = message.get("id")
        if not isinstance(request, int) or isinstance(request, bool):
            raise ProtocolError(f"a request {name!r} has no number")
        if bulk.must_wait(self._engine, message):
            self._waiting.append((request, message))
        else:
            self._operate(request, message)

    def _operate(self, request: int, message: Message) -> None:
        name = message["op"]
        try:
            if name in _CHANGE_THE_KERNEL:
                self._deadline.require()
                self._survivor = self._survivor or survivor.of_session(self._root)
            self._operations[name](request, message)
        except RequestError as error:
            self._connection.send(protocol.error(request, error.code, error.message, error.hint))
        except OSError as error:
            # A file of the kernel: everything else the operations touch is memory.
            self._connection.send(protocol.error(request, Code.FAILED, f"the kernel refused: {error}"))

    def _add_credit(self, message: Message) -> None:
        rows = message.get("rows")
        if not isinstance(rows, int) or isinstance(rows, bool) or rows < 0:
            raise ProtocolError(f"{rows!r} is no credit")
        self._batches.grant(rows)

    def _arm(self, request: int, message: Message) -> None:
        self._begin_surveys()
        armed = self._engine.arm(message.get("probe"), message.get("filter"))
        self._connection.send({"op": "armed", "id": request, **armed._asdict()})

    def _arm_many(self, request: int, message: Message) -> None:
        self._begin_surveys()
        self._connection.send({"op": "armed_many", "id": request, "results": bulk.arm(self._engine, message)})

    def _begin_surveys(self) -> None:
        if not self._engine.armed:
            self._survey_after = time.monotonic() + _SURVEY

    def _disarm(self, request: int, message: Message) -> None:
        probe = message.get("probe")
        [(number, counters)] = self._end_probes([probe]).items()
        self._connection.send({"op": "disarmed", "id": request, "probe": number, "counters": counters})

    def _disarm_many(self, request: int, message: Message) -> None:
        counters = self._end_probes(bulk.numbers(message))
        self._connection.send({"op": "disarmed_many", "id": request, "counters": counters})

    def _end_probes(self, numbers: Sequence[object]) -> Dict[int, List[int]]:
        """Their final counters."""
        probes = self._engine.disarm(numbers, self._batches.keep)
        if self._connection.comfortable:
            self._batches.flush(without=probes)  # the last rows go before the final counters, whenever the last went
        self._send_cells(probes)
        self._tell_skipped()
        self._rest_after = time.monotonic() + _REST
        for probe in probes:
            self._batches.forget(probe)
        return {probe: self._engine.finish(probe) for probe in probes}

    def _expire(self) -> None:
        """The deadline has come."""
        self._report_left(self._counting.close())
        counters = self._end_probes(list(self._engine.counters())) if self._engine.armed else {}
        self._connection.send({"op": "expired", "counters": counters})

    def _set_deadline(self, request: int, message: Message) -> None:
        self._deadline.set(message)
        self._connection.send({"op": "deadline", "id": request})

    def _filter(self, request: int, message: Message) -> None:
        probe, wanted = message.get("probe"), message.get("filter")
        if self._engine.armed:
            self._engine.drain(self._batches.keep, float("inf"))
            if self._connection.comfortable:
                self._batches.flush()  # rows behind the answer have passed the new filter
            else:
                self._engine.collect(0)
        self._engine.filter(probe, wanted, self._batches.keep)
        self._batches.news = True
        self._connection.send({"op": "filtered", "id": request, "probe": probe})

    def _set_focus(self, request: int, message: Message) -> None:
        pids = message.get("pids")
        if not isinstance(pids, list) or not all(type(pid) is int and 0 < pid < 1 << 22 for pid in pids):
            raise RequestError(Code.BAD_REQUEST, "a focus has pids: a list of process numbers")
        self._engine.focus(pids)
        self._connection.send({"op": "focused", "id": request})

    def _set_budget(self, request: int, message: Message) -> None:
        self._engine.set_budget(budget.parse(message))
        self._connection.send({"op": "budgeted", "id": request})

    def _prepare(self, request: int, message: Message) -> None:
        self._engine.prepared()
        self._connection.send({"op": "prepared", "id": request})

    def _set_prices(self, request: int, message: Message) -> None:
        self._engine.set_prices(hit_cost.parse(message))
        self._connection.send({"op": "priced", "id": request})

    def _clean(self, request: int, message: Message) -> None:
        capabilities.require(self._root)
        cleaned = clean(Tracefs(self._root), self._root)
        answer = {"op": "cleaned", "id": request, "removed": cleaned.removed, "failed": cleaned.failed}
        self._connection.send(answer)

    def _quit(self, request: int, message: Message) -> None:
        left, deleting = self._counting.close() + self._engine.release(), self._engine.definitions
        if deleting > GROUP_SIZE:
            # Nothing is armed any more; the rest takes seconds, for which nobody has to wait.
            self._last_words.say({"op": "bye", "id": request, "left": left, "deleting": deleting})
            self._connection.hang_up()
        else:
            left += self._engine.close()
            self._last_words.say({"op": "bye", "id": request, "left": left, "deleting": 0})
        raise _End

    def _report_left(self, left: List[str]) -> None:
        if left:
            message = f"could not remove {'; '.join(left)}"
            self._connection.send({"op": "problem", "message": message, "hint": "kexplore clean"})
