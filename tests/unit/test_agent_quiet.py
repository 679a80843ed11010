"""What C code prints is kept off the screen and can be read afterwards."""

from __future__ import annotations

import ctypes
import os
import sys

import pytest

from explorer.agent.quiet import Printed, quiet


def test_what_c_prints_is_kept_and_given_back(capfd: pytest.CaptureFixture[str]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with quiet() as printed:
        ctypes.CDLL(None).dprintf(2, b"a.c:1:2: warning: well\n")
        print("a.c:3:4: error: no such thing", file=sys.__stderr__)
        assert printed.text == ""
    os.write(2, b"seen\n")
    assert printed.text == "a.c:1:2: warning: well\na.c:3:4: error: no such thing\n"
    assert printed.first_error == "a.c:3:4: error: no such thing"
    assert capfd.readouterr().err == "seen\n"
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_screen_is_back_after_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        os.write(2, b"bpf: Failed to load program: Permission denied\n\xff\n\n")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), quiet() as printed:
        fail()
    os.write(2, b"seen\n")
    assert capfd.readouterr().err == "seen\n"
    assert "Permission denied" in printed.text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("\n \n", ""),
        ("In file included from a.h:1:\nb.h:2:1: fatal error: 'c.h' file not found\n#include\n1 error generated.\n",
         "b.h:2:1: fatal error: 'c.h' file not found"),
        ("2 warnings generated.\nbpf: Failed to load program: Permission denied\n1: (61) r0 = *(u32 *)(r1 +0)\n"
         "R1 invalid mem access 'scalar'\nprocessed 2 insns (limit 1000000) max_states_per_insn 0\n\n",
         "R1 invalid mem access 'scalar'"),
    ],
)  # fmt: skip
def test_the_line_that_says_most(text: str, line: str) -> None:
    printed = Printed()
    printed.text = text
    assert printed.first_error == line
