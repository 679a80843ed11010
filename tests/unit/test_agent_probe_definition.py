"""Definitions of probes: right where the request is, and never anything that the request smuggled in."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.agent import probe_definition
from explorer.agent.failure import RequestError
from explorer.agent.protocol import Code
from symbols import pt_regs

OPEN = {
    "symbol": "do_sys_openat2", "module": "", "offset": 0, "kind": "entry",
    "values": [{"register": "di", "dereference": [], "type": "s32"},
               {"register": "si", "dereference": [0], "type": "string"},
               {"stack": 1, "dereference": [8, -16], "type": "u16"}],
    "registers": False, "maxactive": 0,
}  # fmt: skip


def line(probe: object) -> str:
    request = probe_definition.parse(probe, "x86_64")
    return request.definition("group", "event", request.place)


def refusal(probe: object) -> RequestError:
    with pytest.raises(RequestError) as caught:
        line(probe)
    return caught.value


def test_an_entry_probe_with_its_values_and_the_guard_of_a_number_in_memory() -> None:
    assert line(OPEN) == (
        "p:group/event do_sys_openat2 comm=$comm v0=%di:s32 v1=+0(%si):string "
        "v2=-16(+8($stack1)):u16 g2=-15(+8($stack1)):string"
    )


def test_a_return_probe() -> None:
    probe = {"symbol": "tcp_v4_connect.isra.0", "module": "ipv4", "kind": "return", "maxactive": 64,
             "values": [{"return": True, "type": "s64"},
                        {"return": True, "dereference": [0], "type": "string"}]}  # fmt: skip
    assert line(probe) == ("r64:group/event ipv4:tcp_v4_connect.isra.0 comm=$comm v0=$retval:s64 v1=+0($retval):string")


def test_an_offset_and_all_registers() -> None:
    text = line({"symbol": "vfs_read", "offset": 31, "kind": "entry", "registers": True})
    assert text.startswith("p:group/event vfs_read+31 comm=$comm r0=%r15:u64 r1=%r14:u64 ")
    assert text.endswith(" r20=%ss:u64")


def test_a_place_by_address() -> None:
    request = probe_definition.parse({"address": 0xFFFFFFFF81000000, "kind": "entry"}, "x86_64")
    assert request.address == 0xFFFFFFFF81000000


def test_registers_are_those_that_the_explorer_knows_in_its_order() -> None:
    for machine, names in probe_definition.REGISTERS.items():
        assert names == tuple(saved.name for saved in pt_regs.layout(machine))


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": ""}, {"symbol": "a b"}, {"symbol": "a\nb"}, {"symbol": "1234"}, {"symbol": "a;b"}, {"symbol": "a+1"},
        {"symbol": "m:f"}, {"symbol": "f%return"}, {"symbol": 7}, {"symbol": None}, {"symbol": "f" * 600},
        {"module": "a b"}, {"module": 1}, {"module": "m:"}, {"offset": -1}, {"offset": True}, {"offset": "4"},
        {"offset": 1 << 31}, {"kind": "both"}, {"kind": None}, {"maxactive": 1}, {"maxactive": -1},
        {"values": {}}, {"values": [1]}, {"values": [{}]}, {"registers": 1}, {"surprise": 1},
        {"kind": "return", "offset": 4}, {"kind": "return", "maxactive": 4097}, {"address": 1},
        {"values": [{"register": "di", "type": "string"}]}, {"values": [{"register": "zz", "type": "u8"}]},
        {"values": [{"register": "di", "type": "x8"}]}, {"values": [{"register": "di", "stack": 1, "type": "u8"}]},
        {"values": [{"return": True, "type": "u8"}]}, {"values": [{"stack": -1, "type": "u8"}]},
        {"values": [{"register": "di", "type": "u8", "dereference": ["0"]}]},
        {"values": [{"register": "di", "type": "u8", "dereference": [1 << 40]}]},
        {"values": [{"register": "di", "type": "u8", "dereference": [0] * 30}]},
        {"values": [{"register": "di", "type": "u8", "more": 1}]},
        {"values": [{"register": "di", "type": "u8"}] * 128},
        {"values": [{"register": "orig_ax", "type": "u64", "dereference": [2000000000] * 3}] * 60},
    ],
)  # fmt: skip
def test_what_is_refused_before_the_kernel_sees_it(change: dict[str, Any]) -> None:
    assert refusal({**OPEN, **change}).code is Code.BAD_REQUEST


def test_the_registers_of_an_unknown_machine_cannot_be_asked_for() -> None:
    with pytest.raises(RequestError) as caught:
        probe_definition.parse({"symbol": "f", "kind": "entry", "registers": True}, "vax")
    assert caught.value.code is Code.KERNEL_CANNOT


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12)
    | st.sampled_from(["entry", "return", "di", "ax", "u64", "string", "vfs_read", "a b", "x\np:evil/e y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["symbol", "module", "offset", "address", "kind", "values", "registers", "maxactive",
                         "register", "stack", "return", "dereference", "type"]), inner, max_size=8),
    max_leaves=12,
)  # fmt: skip
_VALUES = st.fixed_dictionaries(
    {"register": st.sampled_from(["di", "ax"]) | _JSON, "type": st.sampled_from(["u8", "s64", "string"]) | _JSON},
    optional={"dereference": st.lists(st.integers(-(1 << 33), 1 << 33), max_size=4) | _JSON},
)
_PROBES = _JSON | st.fixed_dictionaries(
    {"symbol": st.text(max_size=20) | st.sampled_from(["f", "a.isra.0"]), "kind": st.sampled_from(["entry", "return"])},
    optional={"module": st.text(max_size=8), "offset": st.integers(), "values": st.lists(_VALUES, max_size=4),
              "registers": st.booleans(), "maxactive": st.integers(-1, 5000)},
)  # fmt: skip
_DEFINITION = re.compile(
    r"[pr]\d*:group/event (\w+:)?[\w.]+(\+\d+)? comm=\$comm"
    r"( [vgr]\d+=[-+\d()]*[%$][a-z0-9_]+\)*:([us](8|16|32|64)|string))*"
)


@given(_PROBES)
def test_whatever_is_asked_one_definition_of_ours_comes_out_or_an_error(probe: object) -> None:
    try:
        text = line(probe)
    except RequestError:
        return
    if text.split(" ")[1]:  # a place by address is filled in later
        assert _DEFINITION.fullmatch(text), text


@given(st.text(max_size=100))
def test_an_event_name_is_an_identifier_that_the_kernel_takes(symbol: str) -> None:
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", probe_definition.event_name("kx1_1", symbol))
