"""Names that processes choose, of themselves and of files, cannot do anything to whoever looks at them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.agent_driver import Agent
from tests.lab.test_trace_command import KEXPLORE, OPEN
from tests.lab.tracing_state import DEADLINE

COMM = b"\x1b[2J[b]\n\xff\x07\"'%"
"""As long as a name of a thread may be."""
FILE = b"/\x1b]0;owned\x07\n\r[red]\xff\xfe\xe2\x80\xae</script>$(reboot)"
PROGRAM = f"""
open("/proc/self/comm", "wb").write({COMM!r})
try:
    open({FILE!r})
except OSError:
    pass
"""
COMMAND = ["--", sys.executable, "-I", "-S", "-c", PROGRAM]


def run(command: str, *options: str) -> bytes:
    """What a command of kexplore prints of the program, on both streams together."""
    result = subprocess.run(
        [*KEXPLORE, command, OPEN, *options, *COMMAND], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    return result.stdout


def is_harmless(printed: bytes) -> bool:
    """Whether there are no control characters but ends of lines."""
    return all(byte == 0x0A or byte >= 0x20 for byte in printed)


def test_they_come_out_of_the_kernel_as_they_are(either_engine: Agent) -> None:
    values = [{"register": "si", "dereference": [0], "type": "string"}]
    probe = either_engine.arm(OPEN, values=values)
    subprocess.run(COMMAND[1:], check=True)
    either_engine.disarm(probe)
    seen = {(row[5], row[7][0]) for row in either_engine.rows_of(probe)}
    assert tuple(name.decode("utf-8", "surrogateescape") for name in (COMM, FILE)) in seen


@pytest.mark.parametrize("engine", ["tracefs", "bpf"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_they_are_printed_so_that_no_terminal_and_no_reader_of_lines_is_moved(form: str, engine: str) -> None:
    printed = run("trace", "--engine", engine, *(["--json"] if form == "json" else []))
    assert is_harmless(printed)
    assert b"owned" in printed
    if form == "text":
        assert rb"\x1b]0;owned\x07\n\r[red]\xff\xfe\u202e</script>" in printed
        assert rb"\x1b[2J[b]\n\xff\x07" in printed
    else:
        events = [json.loads(line) for line in printed.splitlines() if line.startswith(b'{"t"')]
        [hostile] = [event for event in events if "owned" in str(event["values"]["filename"]["text"])]
        assert hostile["values"]["filename"]["text"].encode("utf-8", "surrogateescape") == FILE
        assert hostile["comm"].encode("utf-8", "surrogateescape") == COMM


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_count_by_them_is_printed_so_too(form: str) -> None:
    printed = run("aggregate", "--by", "comm", *(["--json"] if form == "json" else []))
    assert is_harmless(printed)
    if form == "text":
        assert rb"\x1b[2J[b]\n\xff\x07" in printed
    else:
        [counted] = [json.loads(line) for line in printed.splitlines() if line.startswith(b'{"probe"')]
        assert COMM.decode("utf-8", "surrogateescape") in [row["key"] for row in counted["keys"]]
