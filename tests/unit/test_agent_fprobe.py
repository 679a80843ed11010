"""When a probe becomes an fprobe: only where that loses nothing, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from explorer.agent import fprobe, probe_definition
from explorer.agent.failure import RequestError
from explorer.agent.kernel_text import KernelText
from explorer.agent.tracefs import Tracefs

README = (
    "\t           f[:[<group>/][<event>]] <func-name>[%return] [<args>]\n    Format: hist:keys=<field1[,field2,...]>\n"
)
SYMBOLS = "ffffffff81000000 T f\nffffffff81000100 t g\nffffffff81000200 t g\n"
SHADOW_STACK = "ffffffff81000300 t fprobe_return\n"
FIRST = {"register": "di", "dereference": [8, 0], "type": "string"}
RETURN = {"kind": "return", "values": [{"register": "ax", "dereference": [], "type": "s32"}]}


def choose(root: Path, probe: dict[str, Any], *, readme: str = README, symbols: str = SYMBOLS) -> fprobe.Choice:
    """The choice on a machine of these files."""
    for name, text in {"sys/kernel/tracing/README": readme, "proc/kallsyms": symbols}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "sys/kernel/tracing/kprobe_events").touch()
    request = probe_definition.parse({"symbol": "f", "kind": "entry", **probe}, "x86_64")
    return fprobe.choose(request, "x86_64", Tracefs(str(root)), KernelText(str(root)))


def test_a_return_becomes_an_fprobe_where_it_cannot_be_missed_in_silence(tmp_path: Path) -> None:
    chosen, cause = choose(tmp_path, RETURN, symbols=SYMBOLS + SHADOW_STACK)
    assert chosen.definition("g", "e", "f") == "f:g/e f%return comm=$comm v0=$retval:s32"
    assert "no pool" in cause


@pytest.mark.parametrize(
    ("probe", "kernel", "cause"),
    [
        (RETURN, {}, "miss returns without counting"),
        (RETURN, {"readme": ""}, "no fprobe events"),
        (RETURN, {"readme": README.splitlines()[0]}, "no histograms"),
        ({**RETURN, "registers": True}, {}, "no registers"),
        ({**RETURN, "maxactive": 50}, {}, "no pool of returns to be sized"),
        ({"kind": "return", "values": [{"register": "dx", "dereference": [], "type": "u8"}]}, {}, "cannot read %dx"),
        ({**RETURN, "symbol": "g"}, {"symbols": SYMBOLS + SHADOW_STACK}, "2 functions are called g"),
        ({**RETURN, "module": "m"}, {}, "by its name only"),
        ({"values": [FIRST]}, {"symbols": SYMBOLS + SHADOW_STACK}, "counts its hits"),
    ],
)
def test_everything_else_stays_a_kprobe(
    tmp_path: Path, probe: dict[str, Any], kernel: dict[str, str], cause: str
) -> None:
    chosen = choose(tmp_path, probe, **kernel)
    assert chosen.request.mechanism == "kprobe"
    assert cause in chosen.cause
    asked = probe_definition.parse({"symbol": "f", "kind": "entry", **probe}, "x86_64")
    assert chosen.request.values == asked.values


def test_an_fprobe_that_is_asked_for_reads_arguments_by_number(tmp_path: Path) -> None:
    ninth = {"stack": 3, "dereference": [], "type": "u64"}
    chosen, cause = choose(tmp_path, {"values": [FIRST, ninth], "mechanism": "fprobe"})
    assert chosen.definition("g", "e", "f") == "f:g/e f comm=$comm v0=+0(+8($arg1)):string v1=$stack3:u64"
    assert cause == "asked for"


def test_an_fprobe_that_is_asked_for_in_vain_says_why(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no fprobe here: 2 functions are called g"):
        choose(tmp_path, {"symbol": "g", "mechanism": "fprobe"})


def test_a_kprobe_that_is_asked_for_stays_one(tmp_path: Path) -> None:
    chosen, cause = choose(tmp_path, {**RETURN, "mechanism": "kprobe"}, symbols=SYMBOLS + SHADOW_STACK)
    assert (chosen.mechanism, cause) == ("kprobe", "asked for")


def test_there_is_no_other_mechanism() -> None:
    with pytest.raises(RequestError, match="mechanism is auto, kprobe, fprobe"):
        probe_definition.parse({"symbol": "f", "kind": "entry", "mechanism": "bpf"}, "x86_64")
