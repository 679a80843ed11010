"""The agent on a real kernel: probes fire with the right values, and every refusal has its cause."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from explorer.agent.protocol import unpack_registers
from tests.agent_driver import SYSTEM_PYTHON, Agent, Refused, agent
from tests.lab.tracing_state import TRACEFS

OPEN = "do_sys_openat2"
OPEN_VALUES: list[dict[str, Any]] = [
    {"register": "di", "dereference": [], "type": "s32"},
    {"register": "si", "dereference": [0], "type": "string"},
]
RETURN_VALUE: list[dict[str, Any]] = [{"return": True, "dereference": [], "type": "s64"}]
ENOENT = 2
SYS_FUTEX, FUTEX_WAKE_BITSET = 202, 10


@pytest.fixture
def running(either_engine: Agent) -> Agent:
    return either_engine


def cat(*names: str) -> int:
    """Run cat to its end; its pid."""
    process = subprocess.Popen(["cat", *names], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process.wait()
    return process.pid


def address_of(symbol: str) -> int:
    lines = [line.split() for line in Path("/proc/kallsyms").read_text().splitlines()]
    [address] = [int(fields[0], 16) for fields in lines if fields[2] == symbol]
    return address


def test_a_file_is_opened_and_the_missing_one_is_not_found(running: Agent) -> None:
    entry = running.arm(OPEN, values=OPEN_VALUES)
    exit_ = running.arm(OPEN, "return", values=RETURN_VALUE)
    pid = cat("/etc/passwd", "/nonexistent")
    running.disarm(entry)
    running.disarm(exit_)
    opened = {row[7][1]: row for row in running.rows_of(entry) if row[3] == pid}
    for name in ("/etc/passwd", "/nonexistent"):
        _, _, cpu, tid, process, comm, context, (directory, _), registers = opened[name]
        assert (tid, process, comm, context, directory, registers) == (pid, pid, "cat", "task", -100, None)
        assert 0 <= cpu < (os.cpu_count() or 1)
    results = [row[7][0] for row in running.rows_of(exit_) if row[3] == pid and row[1] > opened["/etc/passwd"][1]]
    assert results[0] >= 3
    assert results[-1] == -ENOENT


def test_registers_come_in_the_order_of_hello(running: Agent) -> None:
    probe = running.arm(OPEN, values=OPEN_VALUES, registers=True)
    pid = cat("/etc/passwd")
    running.disarm(probe)
    row = next(row for row in running.rows_of(probe) if row[3] == pid)
    registers = dict(zip(running.hello["registers"], unpack_registers(row[8]), strict=True))
    assert registers["di"] & 0xFFFFFFFF == row[7][0] & 0xFFFFFFFF
    address = address_of(OPEN)
    assert address <= registers["ip"] <= address + 16
    assert registers["sp"] >> 47 == 0x1FFFF


def test_page_faults_with_a_field_of_the_area(running: Agent) -> None:
    fault = running.arm("handle_mm_fault", values=[{"register": "di", "dereference": [0], "type": "u64"},
                                                   {"register": "si", "dereference": [], "type": "u64"}])  # fmt: skip
    pid = cat("/etc/passwd")
    running.disarm(fault)
    faults = [row for row in running.rows_of(fault) if row[3] == pid]
    assert faults
    for row in faults:
        vm_start, address = row[7]
        assert vm_start <= address < 1 << 47


def test_a_stack_argument(running: Agent) -> None:
    # do_futex(uaddr, op, val, timeout, uaddr2, val2, val3): the seventh is on the stack, on every kernel.
    probe = running.arm("do_futex", values=[{"register": "dx", "type": "u32"}, {"stack": 1, "type": "u32"}])
    word = ctypes.c_uint32()
    ctypes.CDLL(None).syscall(SYS_FUTEX, ctypes.byref(word), FUTEX_WAKE_BITSET, 123, None, None, 0x5EED)
    running.disarm(probe)
    assert [123, 0x5EED] in [row[7] for row in running.rows_of(probe) if row[3] == threading.get_native_id()]


def test_a_read_that_faults_is_null_and_not_what_was_there_before(running: Agent) -> None:
    # Fill the buffers with something else first: the kernel does not clear what a number is not read into.
    filler = running.arm(OPEN, values=OPEN_VALUES)
    for _ in range(3000):
        try_open("/" + "A" * 200)
    running.disarm(filler)
    values = [{"register": "di", "dereference": [8], "type": kind} for kind in ("u8", "s16", "u32", "u64", "string")]
    good = {"register": "si", "dereference": [0], "type": "u8"}
    probe = running.arm(OPEN, values=[*values, good])
    for _ in range(200):
        try_open("/" + "B" * 60)
    running.disarm(probe)
    mine = [row for row in running.rows_of(probe) if row[3] == threading.get_native_id()]
    assert len(mine) >= 200
    assert {tuple(row[7]) for row in mine} == {(None, None, None, None, None, ord("/"))}


def try_open(name: str) -> None:
    with pytest.raises(OSError, match="No such file"):
        os.open(name, os.O_RDONLY)


def test_a_thread_belongs_to_its_process_even_when_it_is_gone(running: Agent) -> None:
    probe = running.arm(OPEN, values=OPEN_VALUES)
    script = "import threading\nt = threading.Thread(target=open, args=('/etc/hostname',))\nt.start()\nt.join()\n"
    process = subprocess.Popen([SYSTEM_PYTHON, "-I", "-S", "-c", script])
    process.wait()
    running.disarm(probe)
    [row] = [row for row in running.rows_of(probe) if row[7][1] == "/etc/hostname"]
    assert row[3] != process.pid
    assert row[4] == process.pid


def test_focus_follows_a_process_and_its_children_only(running: Agent) -> None:
    probe = running.arm(OPEN, values=OPEN_VALUES)
    with subprocess.Popen(["sh"], stdin=subprocess.PIPE, text=True) as shell:
        running.ask("focus", pids=[shell.pid])
        shown = len(running.rows)
        try_open("/somebody/else")
        shell.communicate("cat /etc/hostname >/dev/null; true\n")
    hits, _, lost, filtered, not_shown = running.disarm(probe)
    since = running.rows[shown:]
    assert "/etc/hostname" in {row[7][1] for row in since}
    assert "/somebody/else" not in {row[7][1] for row in since}
    assert threading.get_native_id() not in {row[3] for row in since}
    assert filtered >= 1
    assert hits == len(running.rows) + lost + filtered + not_shown
    running.ask("focus", pids=[])
    again = running.arm(OPEN, values=OPEN_VALUES)
    try_open("/somebody/else")
    running.disarm(again)
    assert "/somebody/else" in {row[7][1] for row in running.rows_of(again)}


def test_a_focus_on_nobody_is_refused(running: Agent) -> None:
    with pytest.raises(Refused, match="no process 4194303"):
        running.ask("focus", pids=[4194303])


def test_by_address_entries_and_returns(running: Agent) -> None:
    address = address_of(OPEN)
    entry = running.ask("arm", probe={"address": address, "kind": "entry", "values": OPEN_VALUES})["probe"]
    exit_ = running.ask("arm", probe={"address": address, "kind": "return", "values": RETURN_VALUE})["probe"]
    try_open("/by/address")
    running.disarm(entry)
    running.disarm(exit_)
    assert "/by/address" in {row[7][1] for row in running.rows_of(entry)}
    assert -ENOENT in {row[7][0] for row in running.rows_of(exit_)}


def test_a_duplicate_name_can_be_probed_by_one_of_its_addresses(running: Agent) -> None:
    with pytest.raises(Refused) as caught:
        running.arm("type_show")
    assert caught.value.code == "not unique"
    address = int(caught.value.hint.split(": ")[1].split(", ")[1], 16)
    running.ask("arm", probe={"address": address, "kind": "entry"})
    assert "type_show" in Path("/sys/kernel/debug/kprobes/list").read_text()


BAD_VALUES = [{"register": "di", "type": "u64"}] * 128


REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({"symbol": "no_such_function"}, "unknown symbol", "no function no_such_function"),
    ({"symbol": "type_show"}, "not unique", "several functions are named type_show"),
    ({"symbol": "vfs_read", "offset": 1}, "not an instruction boundary", "no instruction begins at vfs_read+1"),
    ({"symbol": "vfs_read", "offset": 1_000_000}, "bad request", "lies beyond it; there is "),
    ({"symbol": "start_kernel"}, "refused by the kernel", "gone from memory"),
    ({"symbol": "kprobe_dispatcher"}, "refused by the kernel", "kprobe blacklist"),
    ({"symbol": "_copy_from_user"}, "refused by the kernel", "built without tracing (notrace)"),
    ({"symbol": "asm_exc_int3"}, "refused by the kernel", "kprobe blacklist"),
    ({"symbol": "jiffies"}, "refused by the kernel", "is data"),
    ({"symbol": "foo", "module": "nomod"}, "unknown symbol", "no module nomod is loaded"),
    ({"address": 0x1000}, "unknown symbol", "no code of the kernel at 0x1000"),
    ({"symbol": "vfs_read", "values": [{"register": "zz", "type": "u8"}]}, "bad request", "no register"),
    ({"symbol": "vfs_read", "values": [{"register": "di", "type": "file"}]}, "bad request", "no type"),
    ({"symbol": "vfs_read", "values": BAD_VALUES}, "bad request", "more than one probe can read"),
    ({"symbol": "vfs_read\np:evil/e vfs_write"}, "bad request", "no symbol's name"),
]


def test_refusals(running: Agent) -> None:
    for probe, code, words in REFUSALS:
        with pytest.raises(Refused) as caught:
            running.ask("arm", probe={"kind": "entry", **probe})
        assert (caught.value.code, words in caught.value.message) == (code, True), (probe, caught.value.message)
        assert (TRACEFS / "dynamic_events").read_text() == ""


@pytest.mark.parametrize(
    ("switch", "words"),
    [("/sys/kernel/debug/kprobes/enabled", "kprobes are switched off"), ("/proc/sys/kernel/ftrace_enabled", "ftrace")],
)
def test_a_kernel_that_would_stay_silent_is_not_armed(running: Agent, switch: str, words: str) -> None:
    Path(switch).write_text("0")
    try:
        with pytest.raises(Refused, match=words):
            running.arm(OPEN)
    finally:
        Path(switch).write_text("1")
    running.arm(OPEN)


def test_without_privilege_the_agent_says_so() -> None:
    with agent(user=65534) as started:
        probing = started.hello["probing"]
        assert (probing["can"], probing["code"]) == (False, "not permitted")
        assert "root" in probing["cause"]
        assert "sudo" in probing["hint"]
        with pytest.raises(Refused, match="needs root"):
            started.arm(OPEN)
        with pytest.raises(Refused, match="root only"):
            started.fact("enabled_functions")
        assert started.fact("kallsyms")[0].startswith(b"0000000000000000")
