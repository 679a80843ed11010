"""This machine's own BTF, read by us and by others."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from symbols.btf import Btf
from symbols.prototypes import from_btf
from tests.btf_oracles import (
    VMLINUX,
    Types,
    bpftool_types,
    bpftool_view,
    needs_bpftool,
    needs_pfunct,
    pfunct_can_write,
    pfunct_prototypes,
    same_prototype,
)


@pytest.fixture(scope="module")
def btf() -> Btf:
    return Btf(VMLINUX.read_bytes())


@pytest.fixture(scope="module")
def theirs() -> Types:
    return bpftool_types()


@needs_bpftool
def test_all_records_agree_with_bpftool(btf: Btf, theirs: Types) -> None:
    assert list(theirs) == list(btf.own_ids)
    for type_id, record in theirs.items():
        ours = bpftool_view(btf, btf.type(type_id))
        assert ours == {key: record[key] for key in ours}


@needs_bpftool
def test_all_functions_are_found_by_name(btf: Btf, theirs: Types) -> None:
    ours = {type_id: name for name in btf.function_names for type_id in btf.functions(name)}
    assert ours == {type_id: record["name"] for type_id, record in theirs.items() if record["kind"] == "FUNC"}


@needs_bpftool
@needs_pfunct
def test_prototypes_agree_with_pfunct_as_text(btf: Btf, theirs: Types, tmp_path: Path) -> None:
    names = random.Random(2000).sample(sorted(btf.function_names), 2000)
    prototypes = pfunct_prototypes(theirs, names, tmp_path)
    ours = {name: from_btf(btf, "x86_64", name).text for name in prototypes}
    comparable = [name for name in prototypes if pfunct_can_write(ours[name])]
    assert len(comparable) > 1950
    different = [
        (ours[name], prototypes[name]) for name in comparable if not same_prototype(ours[name], prototypes[name])
    ]
    assert different == []
