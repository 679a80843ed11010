"""BTF of the lab's kernel, read by us and by others: a sample, because the lab may be emulated and slow."""

from __future__ import annotations

import random
from pathlib import Path

from symbols.btf import Btf
from symbols.prototypes import from_btf
from tests.btf_oracles import VMLINUX, bpftool_types, bpftool_view, pfunct_can_write, pfunct_prototypes, same_prototype
from tests.layout_oracles import comparable, our_shape, pahole_shapes


def test_btf_agrees_with_bpftool_and_pfunct(tmp_path: Path) -> None:
    btf = Btf(VMLINUX.read_bytes())
    theirs = bpftool_types()
    assert list(theirs) == list(btf.own_ids)
    for type_id in random.Random(612).sample(btf.own_ids, 3000):
        ours = bpftool_view(btf, btf.type(type_id))
        assert ours == {key: theirs[type_id][key] for key in ours}

    names = random.Random(612).sample(sorted(btf.function_names), 200)
    prototypes = pfunct_prototypes(theirs, names, tmp_path)
    texts = {name: from_btf(btf, "x86_64", name).text for name in prototypes}
    pairs = [(text, prototypes[name]) for name, text in texts.items() if pfunct_can_write(text)]
    assert len(pairs) > 190
    assert [pair for pair in pairs if not same_prototype(*pair)] == []


def test_layouts_of_a_module_agree_with_pahole() -> None:
    module = VMLINUX.with_name("overlay")  # loaded by the guest itself, for its own root
    btf = Btf(module.read_bytes(), Btf(VMLINUX.read_bytes()))
    ids = comparable(btf)
    theirs = pahole_shapes([text.split()[1] for text in ids], module, VMLINUX)
    compared = [text for text in ids if text in theirs]
    assert len(compared) >= 10
    assert {text: our_shape(btf, ids[text]) for text in compared} == {text: theirs[text] for text in compared}
