"""Layouts of this machine's own structs and unions, ours beside pahole's."""

from __future__ import annotations

import random

import pytest

from symbols.btf import Btf
from tests.btf_oracles import VMLINUX
from tests.layout_oracles import (
    ALWAYS,
    Hole,
    comparable,
    needs_pahole,
    our_shape,
    pahole_shapes,
    with_something_special,
)


@pytest.fixture(scope="module")
def btf() -> Btf:
    return Btf(VMLINUX.read_bytes())


@needs_pahole
def test_layouts_agree_with_pahole(btf: Btf) -> None:
    ids = comparable(btf)
    draw = random.Random(500)
    special = with_something_special(btf, {text: ids[text] for text in draw.sample(sorted(ids), 2500)})
    names = sorted({*draw.sample(sorted(ids), 600), *special, *(f"struct {name}" for name in ALWAYS)})
    theirs = pahole_shapes([text.split()[1] for text in names])
    compared = [text for text in names if text in theirs]
    assert len(compared) > 800
    assert {f"struct {name}" for name in ALWAYS} <= set(compared)
    different = {text: (theirs[text], ours) for text in compared if (ours := our_shape(btf, ids[text])) != theirs[text]}
    assert different == {}
    parts = [part for text in compared for part in theirs[text].parts]
    assert sum(isinstance(part, Hole) for part in parts) > 100
    assert sum(isinstance(part, Hole) and part.bits % 8 != 0 for part in parts) > 30
