"""The protocol between the explorer and the agent: the frames, the messages, their limits.

Both sides speak it over any byte stream (a pipe, a virtio port, later ssh). A **frame** is::

    u32 length of the JSON text   (big endian)
    u32 length of the blob
    JSON text (UTF-8, one object)
    blob (raw bytes, may be empty)

Every object has ``op``. A request carries ``id``; its answers carry the same ``id``. A request that fails is answered
by ``{"op": "error", "id", "code", "message", "hint"}`` (codes: ``Code``). Only the agent sends blobs.

**Explorer to agent**

=========== ====================================================== ===========================================
op          members                                                answer
=========== ====================================================== ===========================================
fact        ``id, name, compress``                                 ``fact`` chunks ``{id, encoding, last}`` + blob
arm         ``id, probe, filter`` (see below)                      ``armed {id, probe, event, definition, engine ...}``
disarm      ``id, probe``                                          ``disarmed {id, probe, counters}``
arm_many    ``id, probes: [{probe, filter, pair}]``                ``armed_many {id, results: [RESULT]}``
disarm_many ``id, probes: [number]``                               ``disarmed_many {id, counters: {probe: COUNTERS}}``
filter      ``id, probe, filter`` (null: every hit passes)         ``filtered {id, probe}``
focus       ``id, pids`` (with descendants; empty: everybody)      ``focused {id}``
credit      ``rows`` (added to what is left)                       none
budget      ``id, rate, share`` (see below)                        ``budgeted {id}``
prepare     ``id`` (the bpf program, unless it is there)           ``prepared {id}``
prices      ``id`` and nanoseconds by mechanism (see below)        ``priced {id}``
count       ``id, functions, rate, share`` (see below)             ``counting {id, places, absent}``
uncount     ``id``                                                 ``counted {id}`` and the last ``calls``
deadline    ``id, seconds`` (from now; null: none)                 ``deadline {id}``
hello       ``version``                                            none; see below
clean       ``id``                                                 ``cleaned {id, removed, failed}``
quit        ``id``                                                 ``bye {id, left, deleting}``, then the stream's end
=========== ====================================================== ===========================================

A fact is sent in chunks of up to ``CHUNK`` bytes; ``encoding`` is ``raw`` or ``zlib`` (one zlib stream over all
chunks). Names: see ``explorer.agent.facts``.

A **probe** to arm is data, never text for the kernel; the agent validates each part and writes the definition itself::

    {"symbol": "do_sys_openat2", "module": "", "offset": 0,  (or "address": 18446744071590000000 in place of the three)
     "kind": "entry" | "return",
     "values": [{"register": "di", "dereference": [], "type": "s32"},
                {"register": "si", "dereference": [0], "type": "string"},
                {"stack": 1, "dereference": [], "type": "u64"},
                {"return": true, "dereference": [], "type": "s64"}],
     "registers": true,    all general registers of this architecture with every event
     "maxactive": 0,       return probes: 0 leaves the choice to the kernel
     "mechanism": "auto",  or "kprobe", "fprobe"
     "engine": "auto",     or "tracefs", "bpf"
     "stacks": ["kernel", "user"],   call stacks to record with every event; bpf only
     "aggregate": null}    or what to count in place of recording anything (see below); bpf only

``dereference`` is a list of byte offsets followed in turn: ``[8, 0]`` reads ``*(*(register + 8) + 0)``.
Types: ``u8 u16 u32 u64 s8 s16 s32 s64 string ustring``.

``arm_many`` and ``disarm_many`` take up to ``MOST_AT_ONCE`` probes, each written as for ``arm`` or ``disarm``. One
that is refused keeps no other from being armed: RESULT is ``{probe, event, definition, mechanism, cause}`` or
``{code, message, hint}``, in the order asked. ``disarm_many`` disarms all of them or, where one of the numbers means no
armed probe, none. ``mechanism`` is what the probe became, a kprobe or an fprobe, ``cause`` why; what an fprobe missed
nobody counts: its ``missed`` is 0 and means nothing. Under a focus its ``hits`` are those of the focus.
``engine`` is what armed it. What needs bpf is answered once the bpf program has been compiled; what does not is never
made to wait for it. A probe of bpf has no ``event``; before kernel 6.8 its ``missed`` is 0 and means nothing, and its
texts end after 1,023 bytes.
An **aggregate** is ``{"by": KEY, "of": NUMBER}``: ``by`` null, "comm", "pid", "tid", "cpu" or ``["value", index]``,
``of`` null or ``["value", index]``. For calls, paired as below, the entry has ``{"role": "begins", "by": KEY}`` and
the return ``{"role": "ends", "of": "latency" or NUMBER}``. Its hits make no rows and count as not shown; what they were
comes as ``cells``. A filter that the program cannot decide is refused there.
``pair``, if it is there and true, says that a return probe makes **calls** with the entry probe right before it in the
list: the guard then holds both back together, and batches say what of their rows is complete (see below).

``bye`` comes when nothing is armed any more; ``left`` is what could not be removed. ``deleting`` is the number of
definitions, all disabled, that the agent deletes after it, without the explorer.

A **filter** is data as well; null or absent: there is none. Every condition of both parts must hold for a hit to be
recorded and shown; the others are counted as filtered. The agent puts the kernel's part into the language of event
filters, and asks the rest of each hit itself. A filter can be changed while its probe counts: rows that follow the
``filtered`` answer have passed the new one::

    {"kernel": [CONDITION...], "agent": [CONDITION...]}

    CONDITION  ["and", CONDITION...]  ["or", CONDITION...]  ["not", CONDITION]
               ["==" "!=" "<" "<=" ">" ">=", NUMBER, NUMBER]  ["==" "!=", TEXT, TEXT]  ["~", TEXT, "pattern"]
    NUMBER     an integer of up to 64 bits  ["value", index]  ["tid"]  ["pid"]  ["cpu"]
               ["+" "-" "*" "/" "%" "&" "|" "^" "<<" ">>", NUMBER, NUMBER]    without overflow; "/" rounds towards 0
    TEXT       "a constant"  ["text", index]  ["comm"]

``index`` counts the probe's values from 0; ``text`` ones are its strings. A pattern knows ``* ? [a-z] [!a-z]`` and a
backslash. What depends on a value that could not be read (a fault, a process that is gone, a division by zero) is
unknown, and an unknown condition does not hold. In the kernel's part a comparison has a ``value``, ``tid``, ``cpu``,
``text`` or ``comm`` on its left and a constant on its right; ``["!=", ["&", NUMBER, constant], 0]`` may stand there as
well; texts there are printable ASCII of up to 255 characters, with one sort of quotes at most, patterns not beginning
with ``!`` or a digit.

A **budget** is what probes may cost: ``rate`` hits a second for each, ``share`` of one processor's time for all
together (0.02 is 2%); null sets no limit. Until the first one, ``share`` is 0.02 and ``rate`` null. What is over it is
*sampled*: the event is enabled for 50 ms of each second, longer by what switching takes. What is over it even so is
*stopped*: the event is disabled, the probe keeps its number and its counters until it is disarmed. The dearest are held
back first. A new budget gives another chance to what was stopped for the old one: it is sampled again.

**Prices** are the nanoseconds that a hit takes on this machine, by what the kernel puts at the probed instruction, and
those that a return, and the bpf program, take on top; null leaves a figure to the agent's own table. The guard predicts
costs with them.

A **count** follows up to ``MOST_COUNTED`` functions, each ``[symbol, module]`` ("" for the kernel itself), by ftrace's
function tracer: no events, no probes, calls only. ``places`` is how many call sites that are, ``absent`` the functions
that ftrace cannot follow. ``rate`` and ``share`` are a budget as below; the hottest functions are dropped to keep it.
At a **deadline** the agent disarms everything, says ``expired`` and arms nothing until another one is set. It does so
by itself: nothing is asked of the explorer.

**Versions.** The agent's ``hello`` comes first and names its version; the explorer ends a conversation in another one.
It names its own in a ``hello`` behind its first requests for facts, at any rate before it arms something; where that is
another one, the agent says so in a ``problem`` and ends the session. What changes the meaning of a message, or adds one
that is sent unasked, gets a new number; new requests need none, as both sides come from one installation.

**Agent to explorer, unasked**

* ``hello``, once, first: ``{version, pid, euid, python, kernel: {release, version, machine, hostname, cpus, boot_id},
  probing: {can, code, cause, hint}, bpf: {can, cause, hint}, tracefs: path or null, features: {name: bool},
  registers: [names], leftovers: [groups of dead sessions]}``. ``can`` false comes with the cause in words;
  ``bpf.can`` true means that nothing is known to speak against bcc, which has not been loaded yet.
* ``batch``, at most 20 a second and only when something changed: ``{counters: {probe: COUNTERS}, lost, rows: [ROW],
  guard: {probe: GUARD}}``, without ``guard`` where there is nothing new in it.
  COUNTERS is ``[hits, missed, lost, filtered, not_shown]``, totals since the probe was armed, and
  hits = rows sent + lost + filtered + not_shown. ``filtered`` are the agent's own calls, what the probe's filter
  rejected and, under a focus, what everybody else did; where a flood meets a filter at several probes, lost and
  filtered are told apart by their shares. A probe's final counters come with ``disarmed``. The batch's own ``lost`` is
  the total of events overwritten in the buffers.
  Each ROW costs the explorer one credit; rows are the newest ones, in the order of time within a batch.
  ROW is ``[probe, t, cpu, tid, pid, comm, context, values, registers]``: ``t`` nanoseconds of CLOCK_MONOTONIC;
  ``pid`` the process, or null when it was gone before it could be asked; ``context`` one of ``task softirq irq nmi``;
  ``values`` in the order of the probe's definition, integers as JSON numbers already signed, strings with invalid UTF-8
  as lone surrogates, a read that faulted as null (on kernels 6.2 to 6.4 also a text that reads ``(fault)``);
  ``registers`` as ``unpack_registers`` reads them, in the order of ``hello.registers``, or null. With stacks a tenth
  member is there: ``[kernel, user]``, the addresses of each, innermost first.
  GUARD is ``{state, rate, cost, enabled, unseen, cause}``: ``state`` one of ``running sampled stopped``; ``rate`` hits
  a second, measured over the last second while it runs, an estimate from the last slices otherwise; ``cost`` the share
  of a processor that this rate takes with the probe always enabled: a table of costs a hit, and the agent's own time;
  ``enabled`` the part of the time that it is enabled now; ``unseen`` an estimate of its hits while it was not, which
  COUNTERS do not hold: they are exact for the time that it was. ``cause``: the kernel's words where it was stopped
  because it could not be enabled again, else "". The first comes half a second after arming.
  While probes make calls, a batch has ``until`` as well, nanoseconds like ``t``: all their rows before that were sent,
  in this batch or an earlier one. ``since``, ``{probe: t}`` where it changed: of what is not later than this, rows of
  the probe may be missing: lost, not shown, or the probe was not enabled then. An entry and a return with such a gap
  between them need not be of one call.
* ``calls {calls: {address: total}, own, lost, dropped: {address: seconds}, seconds}``, two a second during a count:
  the totals that changed, by the address of the call site, which lies in the function; ``own`` calls of the agent's,
  which no total holds; ``lost`` calls that were overwritten before they were counted, of all functions: unless it is 0
  the totals are lower bounds. ``dropped``: what is not followed any more, and for how long it was.
* ``cells {probe, cells: [[key, step, count, total]], unpaired}``, once a second and before the final counters: those
  cells of an aggregating probe that changed, with their totals. ``key`` is a text, a number, null, or "(fault)" where
  it could not be read; ``step`` the one of the 64 steps of its power of two that the number falls in, as
  ``agent.aggregation`` counts them, negative for a negative number, null where it could not be read; ``total`` the sum
  of the numbers; ``unpaired`` returns of calls whose entry was not seen.
* ``expired {counters: {probe: COUNTERS}}``: the deadline has come; these are the final counters of all that was armed.
* ``problem {message, hint}``: something went wrong that no request asked for.

The agent never trusts its peer: a frame over ``MAX_REQUEST``, a blob, broken JSON or an unknown op ends the session
(everything is disarmed); a request with wrong members gets an ``error``. Whatever comes, it writes to its own group and
instance only, reads what has a name among the facts, and keeps its memory within limits: it has a queue of answers of
which a peer that does not listen is made to wait, at most ``MOST_PROBES`` probes, and no number of a peer's sizes
anything. Standard library only, Python 3.9.
"""

from __future__ import annotations

import enum
import json
import struct
from typing import Any, Dict, Iterator, List, Optional, Tuple

VERSION = 2
CHUNK = 256 * 1024
MAX_REQUEST = 256 * 1024
"""Largest JSON text that the agent accepts, in bytes."""
MOST_AT_ONCE = 64
"""Probes that one request may arm or disarm: the agent does nothing else meanwhile."""
MOST_COUNTED = 5000
"""Functions of one count."""
MOST_PROBES = 4096
"""Probes that may be armed at once."""
MAX_ANSWER = 16 * 1024 * 1024
"""Largest frame that the explorer accepts, in bytes."""

BPF_MISSED_SINCE = (6, 8)
"""The kernel from which a bpf link tells what its probe missed (``bpf_link_info.perf_event.kprobe.missed``)."""

_HEADER = struct.Struct("!II")

Message = Dict[str, Any]


class Code(str, enum.Enum):
    """Why a request failed, for programs; ``message`` and ``hint`` are for people."""

    BAD_REQUEST = "bad request"
    NOT_PERMITTED = "not permitted"
    KERNEL_CANNOT = "kernel cannot"
    NO_SUCH_FACT = "no such fact"
    UNKNOWN_SYMBOL = "unknown symbol"
    NOT_UNIQUE = "not unique"
    EXPIRED = "time is over"
    NOT_A_BOUNDARY = "not an instruction boundary"
    REFUSED = "refused by the kernel"
    FAILED = "failed"


class ProtocolError(Exception):
    """The peer sent something that is not this protocol; the stream cannot be used any more."""


class VersionError(ProtocolError):
    """The peer speaks another version of it."""


def check_version(message: Message) -> None:
    """See that the explorer's ``hello`` names our version.

    Raises:
        VersionError: It does not.
    """
    if message.get("version") != VERSION:
        named = json.dumps(message.get("version"))[:20]
        raise VersionError(f"the explorer speaks protocol {named}, this agent {VERSION}")


def encode(message: Message, blob: bytes = b"") -> bytes:
    """One frame; bytes in the message become hexadecimal digits."""
    text = json.dumps(message, separators=(",", ":"), default=bytes.hex).encode("ascii")
    return _HEADER.pack(len(text), len(blob)) + text + blob


def unpack_registers(text: str) -> Tuple[int, ...]:
    """The registers of a row: sixteen hexadecimal digits of each, its lowest byte first.

    Raises:
        ValueError: The text is something else.
    """
    saved = bytes.fromhex(text)
    if len(text) != 2 * len(saved) or len(saved) % 8:
        raise ValueError("registers have sixteen hexadecimal digits each")
    return struct.unpack(f"<{len(saved) // 8}Q", saved)


class Decoder:
    """Turns a byte stream, in whatever pieces it arrives, into messages.

    Args:
        limit: Largest JSON text accepted, in bytes.
        blob_limit: Largest blob accepted, in bytes.
    """

    def __init__(self, limit: int, blob_limit: int) -> None:
        self._limit = limit
        self._blob_limit = blob_limit
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Tuple[Message, bytes]]:
        """Take bytes, yield the messages that they complete.

        Raises:
            ProtocolError: A frame is too large, or its text is not a JSON object with a string ``op``.
        """
        pending = self._pending
        pending += data
        while len(pending) >= _HEADER.size:
            text_length, blob_length = _HEADER.unpack_from(pending)
            if text_length > self._limit or blob_length > self._blob_limit:
                raise ProtocolError(f"a frame of {text_length} + {blob_length} bytes is over the limit")
            end = _HEADER.size + text_length + blob_length
            if len(pending) < end:
                return
            text = bytes(pending[_HEADER.size : _HEADER.size + text_length])
            blob = bytes(pending[_HEADER.size + text_length : end])
            del pending[:end]
            yield _parse(text), blob

    @property
    def partial(self) -> bool:
        """Whether the stream stopped inside a frame."""
        return bool(self._pending)


def _parse(text: bytes) -> Message:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a frame holds no JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("op"), str):
        raise ProtocolError("a frame holds no message")
    return message


def fact_request(number: int, name: str) -> Message:
    """A request for a fact, uncompressed: over a pipe or a virtio port compressing takes longer than sending."""
    return {"op": "fact", "id": number, "name": name, "compress": False}


def error(request: Optional[int], code: Code, message: str, hint: str = "") -> Message:
    """The answer to a request that failed."""
    return {"op": "error", "id": request, "code": code.value, "message": message, "hint": hint}


COUNTER_NAMES: List[str] = ["hits", "missed", "lost", "filtered", "not_shown"]
