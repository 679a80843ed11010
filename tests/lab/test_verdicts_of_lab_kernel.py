"""Verdicts on a real kernel: what we say can be probed is armed, what we say cannot is refused.

The kernel is asked directly, in an event group of the test's own: kexplore itself would refuse before the kernel does.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from symbols import kallsyms
from symbols.catalog import Catalog
from symbols.naming import Part, part_of
from symbols.symbol import Symbol
from symbols.tracing_lists import (
    TracingLists,
    parse_blacklist,
    parse_enabled,
    parse_modules,
    parse_traceable,
    parse_traceable_addresses,
)
from symbols.verdict import Mechanism, Verdict, VerdictKind
from tests.lab.tracing_state import TRACEFS, tracing_state, wait_for_state

GROUP = "verdicts"
INSTANCE = TRACEFS / "instances" / GROUP
WITH_ADDRESSES = TRACEFS / "available_filter_functions_addrs"
LOOKED_AT = 20_000
"""Symbols drawn, of some 150,000: enough for the rarer verdicts."""
SAMPLE = {VerdictKind.PROBEABLE: 160, VerdictKind.NOTRACE: 80}
OTHERS = 45
"""How many of each other verdict are tried."""
VARIANTS = 25
LEAST = 400
WRONG_REFUSALS = 0.01
NO_SUCH_PLACE = (errno.ENOENT, errno.EINVAL)


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """What was predicted for a symbol and what the kernel did.

    Attributes:
        by_name: The error of a probe placed by name; 0 when it was taken.
        by_address: The same by address.
        flags: Of the armed probe in the kernel's own list (``[FTRACE]`` ...); None when it is not there.
        complaint: What the kernel's log says.
    """

    symbol: Symbol
    verdict: Verdict
    by_name: int
    by_address: int
    flags: str | None
    complaint: str

    @property
    def armed(self) -> bool:
        """Whether it was armed in the way that the verdict tells: by its name, or by its address."""
        taken = self.by_address if self.verdict.kind is VerdictKind.DUPLICATE else self.by_name
        return taken == 0 and self.flags is not None and "DISABLED" not in self.flags

    @property
    def truth(self) -> str:
        """In words, for the table."""
        if self.flags is not None:
            how = "by ftrace" if "FTRACE" in self.flags else "by int3 or jump"
            return f"armed {how}" + (", not by its name" if self.by_name else "")
        return f"refused: {self.complaint or os.strerror(self.by_address)}"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    found = Catalog(kallsyms.parse(Path("/proc/kallsyms").read_bytes()), os.uname().machine)
    found.add_tracing_lists(
        TracingLists(
            parse_traceable_addresses(WITH_ADDRESSES.read_bytes())
            if WITH_ADDRESSES.exists()
            else parse_traceable((TRACEFS / "available_filter_functions").read_bytes()),
            parse_blacklist(Path("/sys/kernel/debug/kprobes/blacklist").read_bytes()),
            parse_modules(Path("/proc/modules").read_bytes()),
        )
    )
    return found


@pytest.fixture(scope="module")
def sample(catalog: Catalog) -> list[tuple[Symbol, Verdict]]:
    """A seeded choice of symbols of each kind of verdict, compiler's variants among them."""
    taken: Counter[object] = Counter()
    chosen = []
    for index in random.Random(17).sample(range(len(catalog)), LOOKED_AT):
        symbol = catalog.symbol(index)
        verdict = catalog.verdict(symbol)
        variant = verdict.kind is VerdictKind.PROBEABLE and part_of(symbol.name) is not Part.WHOLE
        sort, most = ("variant", VARIANTS) if variant else (verdict.kind, SAMPLE.get(verdict.kind, OTHERS))
        if taken[sort] < most:
            taken[sort] += 1
            chosen.append((symbol, verdict))
    return chosen


@pytest.fixture(scope="module")
def trials(catalog: Catalog, sample: list[tuple[Symbol, Verdict]]) -> Iterator[list[Trial]]:
    """All of the sample, tried and armed at once; nothing of it is left."""
    before = tracing_state()
    [text] = catalog.find("_text")
    assert text.address is not None
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    os.lseek(log, 0, os.SEEK_END)
    answers = []
    try:
        for number, (symbol, _) in enumerate(sample):
            by_name = define(f"n{number}", symbol.qualified_name)
            complaint = last_complaint() if by_name else ""
            by_address = by_name
            if by_name and symbol.address is not None and symbol.address >= text.address:
                by_address = define(f"a{number}", f"_text+{symbol.address - text.address}")
            answers.append((by_name, by_address, complaint))
        INSTANCE.mkdir()
        (INSTANCE / "events" / GROUP / "enable").write_text("1")
        listed = listed_probes()
        enabled = parse_enabled((TRACEFS / "enabled_functions").read_bytes())
        (INSTANCE / "events" / GROUP / "enable").write_text("0")
        notrace = refused_as_notrace(log)
        found = []
        for (symbol, verdict), (by_name, by_address, complaint) in zip(sample, answers, strict=True):
            address = symbol.address or 0
            flags = next((listed[place] for place in (address, address + 4) if place in listed), None)
            said = "notrace" if symbol.name in notrace else complaint
            found.append(Trial(symbol, verdict, by_name, by_address, flags, said))
        users = {function.name for function in enabled if function.users}
        assert users, "armed probes show in the list of enabled functions"
        yield found
    finally:
        os.close(log)
        if INSTANCE.exists():
            INSTANCE.rmdir()
        if (TRACEFS / "events" / GROUP).exists():
            write(f"-:{GROUP}/")
        wait_for_state(before)


def write(definition: str) -> None:
    events = os.open(TRACEFS / "kprobe_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(events, definition.encode())
    finally:
        os.close(events)


def define(event: str, place: str) -> int:
    """Define a probe, which registers it; the error number, 0 when the kernel takes it."""
    try:
        write(f"p:{GROUP}/{event} {place}")
    except OSError as error:
        return error.errno or -1
    return 0


def last_complaint() -> str:
    """What the tracing error log says last."""
    lines = (TRACEFS / "error_log").read_text().splitlines()
    return next((line.split("error: ")[1] for line in reversed(lines) if "error: " in line), "")


def listed_probes() -> dict[int, str]:
    """The kernel's own list of its kprobes: flags by address."""
    lines = Path("/sys/kernel/debug/kprobes/list").read_text().splitlines()
    return {int(line.split()[0], 16): line for line in lines}


def refused_as_notrace(log: int) -> set[str]:
    """The functions that the kernel's log says were not probed because they are notrace."""
    names: set[str] = set()
    while True:
        try:
            record = os.read(log, 8192).decode(errors="replace")
        except BlockingIOError:
            return names
        _, found, rest = record.partition("Could not probe notrace function ")
        if found:
            names.add(rest.split()[0].rpartition(":")[2])  # 6.1 puts the module before it


def has_padding(catalog: Catalog) -> bool:
    """Whether padding has symbols, as it has since 6.2."""
    return any(catalog.symbol(index).name.startswith("__pfx_") for index in range(len(catalog)))


def test_predictions_against_the_kernel(
    trials: list[Trial], catalog: Catalog, record_property: Callable[[str, object], None]
) -> None:
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for trial in trials:
        mechanism = f" by {trial.verdict.mechanism.value}" if trial.verdict.mechanism else ""
        table[trial.verdict.kind.value + mechanism][trial.truth] += 1
    lines = [f"{len(trials)} symbols, seeded; verdict, and what the kernel ({os.uname().release}) did:"]
    lines += [f"  {kind:<20} {number:4} {truth}" for kind, row in table.items() for truth, number in row.items()]
    record_property("table", "\n".join(lines))
    assert len(trials) >= LEAST
    assert {trial.verdict.kind for trial in trials} >= {
        VerdictKind.PROBEABLE, VerdictKind.DUPLICATE, VerdictKind.BLACKLISTED, VerdictKind.NOTRACE,
        VerdictKind.DISCARDED_INIT, VerdictKind.STUB, VerdictKind.NOT_FUNCTION,
    } | ({VerdictKind.PADDING} if has_padding(catalog) else set())  # fmt: skip
    # Before 6.5 the kernel does not tell which of several functions of a name ftrace has, and the verdict says so.
    sure = [trial for trial in trials if trial.verdict.mechanism is not None or WITH_ADDRESSES.exists()]
    assert [trial for trial in sure if trial.verdict.can_arm and not trial.armed] == []
    refusals = [trial for trial in trials if not trial.verdict.can_arm]
    wrong = [trial for trial in refusals if 0 in (trial.by_name, trial.by_address)]
    assert len(wrong) <= WRONG_REFUSALS * len(refusals), wrong


def test_the_mechanism_is_the_one_predicted(trials: list[Trial]) -> None:
    armed = [trial for trial in trials if trial.flags is not None]
    told = [trial for trial in armed if trial.verdict.mechanism is not None]
    # Which of several functions of a name ftrace knows, only its list with addresses says (6.5).
    assert told
    assert WITH_ADDRESSES.exists() <= (told == armed)
    assert [t for t in told if (t.verdict.mechanism is Mechanism.FTRACE) != ("FTRACE" in (t.flags or ""))] == []


def test_what_is_notrace_the_kernel_calls_notrace(trials: list[Trial]) -> None:
    notrace = [trial for trial in trials if trial.verdict.kind is VerdictKind.NOTRACE]
    assert notrace
    assert all(trial.by_address for trial in notrace)
    if not WITH_ADDRESSES.exists():  # then duplicates are not told apart before, and the kernel complains of the name
        notrace = [trial for trial in notrace if "not unique" not in trial.complaint]
        assert len(notrace) > SAMPLE[VerdictKind.NOTRACE] / 2
    assert [trial for trial in notrace if trial.complaint != "notrace"] == []


def test_duplicates_are_refused_by_name_because_of_the_name(trials: list[Trial]) -> None:
    duplicates = [trial for trial in trials if trial.verdict.kind is VerdictKind.DUPLICATE]
    assert duplicates
    assert [trial for trial in duplicates if "not unique" not in trial.complaint] == []


def test_an_unknown_name_is_refused_and_an_absent_module_is_taken_in_silence(catalog: Catalog) -> None:
    assert catalog.verdict_on_name("do_sys_opneat2").kind is VerdictKind.UNKNOWN
    assert define("unknown", "do_sys_opneat2") in NO_SUCH_PLACE
    assert "Invalid probed address or symbol" in last_complaint()
    assert catalog.verdict_on_name("nomod:foo").kind is VerdictKind.MODULE_NOT_LOADED
    assert define("pending", "nomod:foo") == 0
    write(f"-:{GROUP}/pending")
