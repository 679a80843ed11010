"""``kexplore type`` on this machine's kernel."""

from __future__ import annotations

import json

import pytest

from tests.btf_oracles import VMLINUX
from tests.cli.test_command_line import kexplore

pytestmark = pytest.mark.skipif(not VMLINUX.exists(), reason="a kernel without BTF")


def test_a_struct_as_c_with_its_offsets() -> None:
    result = kexplore("type", "struct", "list_head")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "struct list_head {           // offset  size",
        "    struct list_head *next;  //      0     8",
        "    struct list_head *prev;  //      8     8",
        "};",
        "// 16 bytes; 2 members; alignment ≥ 8",
    ]


def test_bit_fields_and_nameless_members_as_json() -> None:
    header = json.loads(kexplore("type", "iphdr", "--json").stdout)
    assert (header["kind"], header["name"], header["size"], header["module"]) == ("struct", "iphdr", 20, None)
    first, second = header["members"][:2]
    assert {first["name"], second["name"]} == {"ihl", "version"}
    assert (first["bit_offset"], first["bit_size"], second["bit_offset"], second["bit_size"]) == (0, 4, 4, 4)
    addresses = header["members"][-1]
    assert addresses["layout"]["members"][0]["layout"]["members"][1]["offset"] == 16


def test_an_enum() -> None:
    shown = json.loads(kexplore("type", "enum pid_type", "--json").stdout)
    assert {"name": "PIDTYPE_PID", "value": 0} in shown["enumerators"]


def test_an_unknown_type_offers_the_nearest_names() -> None:
    result = kexplore("type", "task_strcut")
    assert (result.returncode, result.stdout) == (1, "")
    assert "no type named 'task_strcut'" in result.stderr
    assert "task_struct" in result.stderr
