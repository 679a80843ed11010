"""The lab's own bcc: it compiles against the headers of this kernel, and what it attaches counts real calls."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from explorer.agent import bcc_library

PROGRAM = rb"""
BPF_ARRAY(hits, u64, 1);
int opened(struct pt_regs *ctx) {
    if (bpf_get_current_pid_tgid() >> 32 == PID)
        hits.increment(0);
    return 0;
}
"""


def test_a_program_compiles_and_counts_calls(every_kernel: str) -> None:
    path = list(sys.path)
    bcc = bcc_library.load()
    assert sys.path == path
    assert bcc.__file__ is not None
    tree = os.environ["KEXPLORE_BCC"]
    assert bcc.__file__.startswith(tree)
    mapped = Path("/proc/self/maps").read_text()
    loaded = {line.split()[-1] for line in mapped.splitlines() if "/libLLVM" in line or "/libbcc.so" in line}
    assert loaded
    assert [name for name in loaded if not name.startswith(tree)] == []  # none that this machine happens to have

    program = bcc.BPF(text=PROGRAM, cflags=[f"-DPID={os.getpid()}", "-w"])
    try:
        program.attach_kprobe(event=b"do_sys_openat2", fn_name=b"opened")
        before = program[b"hits"][0].value
        for _ in range(10):
            os.close(os.open("/dev/null", os.O_RDONLY))
        assert program[b"hits"][0].value - before == 10
    finally:
        program.cleanup()
