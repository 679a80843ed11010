"""What other programs read in BTF: bpftool for the records, pfunct (dwarves) for the text of prototypes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from symbols.btf import Btf
from symbols.btf_format import Kind
from symbols.btf_records import BtfType
from symbols.c_declaration import PLAIN_INTEGERS
from tests.btf_builder import BtfBuilder

Types = dict[int, dict[str, Any]]

VMLINUX = Path("/sys/kernel/btf/vmlinux")

needs_bpftool = pytest.mark.skipif(
    shutil.which("bpftool") is None or not VMLINUX.exists(), reason="no bpftool, or a kernel without BTF"
)
needs_pfunct = pytest.mark.skipif(
    shutil.which("pfunct") is None or not VMLINUX.exists(), reason="no pfunct (dwarves), or a kernel without BTF"
)

_TOKEN = re.compile(r"\.\.\.|\w+|\S")
_INTEGER = re.compile("|".join(rf"\b{name}\b" for name in sorted(PLAIN_INTEGERS, key=len, reverse=True)))


def bpftool_types(path: Path = VMLINUX) -> Types:
    """The records as bpftool reads them, by type id."""
    command = ["bpftool", "-j", "btf", "dump", "file", str(path), "format", "raw"]
    types: Types = {}
    for record in json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["types"]:
        types[record["id"]] = record
        if record["kind"] == "ENUM":
            for value in record["values"]:
                if value["val"] >= 1 << 32:  # bpftool 7.1 extends the sign of an unsigned value
                    value["val"] &= 0xFFFFFFFF
    return types


def bpftool_view(btf: Btf, record: BtfType) -> dict[str, Any]:
    """A record of ours, as bpftool would print it."""
    view: dict[str, Any] = {"id": record.id, "kind": record.kind.name, "name": _anonymous(record.name)}
    match record.kind:
        case Kind.INT:
            integer = btf.integer(record)
            view["size"], view["nr_bits"] = record.size, integer.bits
            view["encoding"] = "BOOL" if integer.boolean else "SIGNED" if integer.signed else "(none)"
        case Kind.ARRAY:
            view["type_id"], view["nr_elems"] = btf.array(record)
        case Kind.STRUCT | Kind.UNION:
            view["size"], view["members"] = (
                record.size,
                [
                    {"name": _anonymous(m.name), "type_id": m.type, "bits_offset": m.bit_offset}
                    | ({"bitfield_size": m.bit_size} if m.bit_size else {})
                    for m in btf.members(record)
                ],
            )
        case Kind.ENUM | Kind.ENUM64:
            view["size"], view["values"] = record.size, [{"name": n, "val": v} for n, v in btf.enumerators(record)]
        case Kind.FWD:
            view["fwd_kind"] = "union" if record.flag else "struct"
        case Kind.FUNC_PROTO:
            view["ret_type_id"] = record.target
            view["params"] = [{"name": _anonymous(name), "type_id": t} for name, t in btf.parameters(record)]
        case Kind.FLOAT:
            view["size"] = record.size
        case Kind.DATASEC:
            view["size"], view["vlen"] = record.size, record.length
        case _:
            view["type_id"] = record.target
    return view


def pfunct_prototypes(types: Types, names: Sequence[str], directory: Path) -> dict[str, str]:
    """The prototypes of some functions of this kernel as pfunct writes them.

    pfunct takes half a minute for a whole kernel, so it gets these functions alone, copied from what bpftool read,
    with structs, unions and enums reduced to their names. Names that stand for several functions are left out.
    """
    copy, wanted = _Copy(types), set(names)
    for record in types.values():
        if record["kind"] == "FUNC" and record["name"] in wanted:
            copy.function(record)
    path = directory / "functions.btf"
    path.write_bytes(copy.builder.build())
    text = subprocess.run(["pfunct", "-P", "-F", "btf", str(path)], capture_output=True, text=True, check=True).stdout
    prototypes: dict[str, list[str]] = {}
    for line in text.splitlines():
        if name := re.search(r"(\w+)\(", line):
            prototypes.setdefault(name[1], []).append(line.rstrip(";"))
    return {name: lines[0] for name, lines in prototypes.items() if len(lines) == 1}


def same_prototype(ours: str, theirs: str) -> bool:
    """Whether two prototypes are the same but for spaces, address spaces and the compiler's names of integer types."""
    return _tokens(re.sub(r"\b__(user|rcu|percpu)\b", "", ours)) == _tokens(theirs)


def pfunct_can_write(prototype: str) -> bool:
    """Whether it is within pfunct's powers: 1.24 loses the ``const`` of constant pointers, and pointers to arrays."""
    return "*const" not in prototype and ")[" not in prototype


class _Copy:
    """Copies functions from bpftool's records into BTF of their own."""

    def __init__(self, types: Types) -> None:
        self.builder = BtfBuilder()
        self._types = types
        self._copied: dict[int, int] = {0: 0}

    def function(self, record: dict[str, Any]) -> None:
        prototype = self._types[record["type_id"]]
        parameters = [(_name(p), self._copy(p["type_id"])) for p in prototype["params"]]
        self.builder.function(record["name"], self._copy(prototype["ret_type_id"]), parameters)

    def _copy(self, type_id: int) -> int:
        if type_id not in self._copied:
            self._copied[type_id] = self._add(self._types[type_id])
        return self._copied[type_id]

    def _add(self, record: dict[str, Any]) -> int:
        kind, name, b = Kind[record["kind"]], _name(record), self.builder
        match kind:
            case Kind.INT:
                encoding = record["encoding"]
                return b.integer(name, record["size"], encoding == "SIGNED", encoding == "BOOL", record["nr_bits"])
            case Kind.FLOAT:
                return b.floating(name, record["size"])
            case Kind.STRUCT | Kind.UNION:
                return b.struct(name, record["size"], [], kind)
            case Kind.ENUM | Kind.ENUM64:
                return b.enum(name, [("", 0)])
            case Kind.FWD:
                return b.forward(name, record["fwd_kind"] == "union")
            case Kind.ARRAY:
                return b.array(self._copy(record["type_id"]), record["nr_elems"])
            case Kind.FUNC_PROTO:
                parameters = [(_name(p), self._copy(p["type_id"])) for p in record["params"]]
                return b.prototype(self._copy(record["ret_type_id"]), parameters)
            case Kind.TYPE_TAG:
                return self._copy(record["type_id"])  # pfunct does not know them
            case _:
                return b.record(kind, name, value=self._copy(record["type_id"]))


def _name(record: dict[str, Any]) -> str:
    name: str = record["name"]
    return "" if name == "(anon)" else name


def _tokens(prototype: str) -> list[str]:
    return _TOKEN.findall(_INTEGER.sub(lambda match: PLAIN_INTEGERS[match[0]], prototype))


def _anonymous(name: str) -> str:
    return name or "(anon)"
