"""Which functions meet the terms of a query: on a made-up kernel, and on this machine's by looking at each of them."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from symbols import kallsyms
from symbols.bit_sets import members
from symbols.btf import Btf
from symbols.catalog import Catalog
from symbols.errors import FactError
from symbols.prototype import Prototype, Trust
from symbols.query import FunctionIndex, Property, parse
from symbols.search import SearchIndex
from symbols.tracing_lists import Blacklist, TracingLists, parse_blacklist, parse_traceable
from symbols.verdict import VerdictKind
from tests.btf_builder import BtfBuilder

KALLSYMS = b"""\
ffffffff81000000 T _stext
ffffffff81000100 T bio_put
ffffffff81000200 T bio_chain
ffffffff81000300 T bio_alloc
ffffffff81000400 t bio_work.isra.0
ffffffff81000500 T submit
ffffffff81000600 T log
ffffffff81000700 t hidden
ffffffff81000800 T forbidden
ffffffff82000000 T _etext
ffffffffc0a00100 t dm_map\t[dm-mod]
"""


def types() -> tuple[bytes, bytes]:
    """The kernel's, and a module's on top of it."""
    base = BtfBuilder()
    integer, unsigned_long = base.integer("int", 4, True), base.integer("long unsigned int", 8)
    char = base.integer("char", 1, True)
    bio = base.struct("bio", 8, [])
    pointer = base.pointer(bio)
    handle = base.typedef("bio_handle", pointer)
    base.function("bio_put", 0, [("bio", pointer)])
    base.function("bio_chain", 0, [("bio", base.pointer(base.const(bio))), ("parent", base.const(pointer))])
    base.function("bio_alloc", pointer, [("flags", unsigned_long)])
    base.function("bio_work", integer, [("work", base.pointer(base.pointer(base.volatile(bio))))])
    base.function("submit", handle, [("bio", handle), ("bio_count", integer)])
    base.function("log", integer, [("format", base.pointer(base.const(char))), ("", 0)])
    base.function("forbidden", 0, [])
    module = BtfBuilder(base=base)
    module.function("dm_map", integer, [("bio", pointer), ("dm", module.pointer(module.struct("dm", 8, [])))])
    return base.build(), module.build()


def catalog(blacklist: bytes = b"0xffffffff81000800-0xffffffff81000900\tforbidden\n") -> Catalog:
    found = Catalog(kallsyms.parse(KALLSYMS), "x86_64")
    base, module = types()
    kernel = Btf(base)
    found.add_btf(kernel)
    found.add_btf(Btf(module, kernel), "dm-mod")
    listed = b"bio_put\nbio_chain\nbio_alloc\nsubmit\nlog\n"
    found.add_tracing_lists(TracingLists(parse_traceable(listed), parse_blacklist(blacklist), {}, False))
    return found


class Asked:
    """A catalog with all its indexes."""

    def __init__(self, of: Catalog) -> None:
        self.catalog = of
        self.search = SearchIndex(of.names)
        self.functions = FunctionIndex(of, self.search.order)

    def complete(self) -> Asked:
        self.functions.add_types()
        self.functions.add_verdicts()
        return self

    def places(self, text: str, *armed: int) -> int | None:
        return self.functions.select(parse(text).terms, armed).places

    def names(self, text: str, *armed: int) -> list[str]:
        places = self.places(text, *armed)
        assert places is not None
        return sorted(self.catalog.names[self.search.order[place]] for place in members(places))

    def notes(self, text: str) -> str:
        return "; ".join(self.functions.select(parse(text).terms).notes)


@pytest.fixture(scope="module")
def asked() -> Asked:
    return Asked(catalog()).complete()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("takes:bio", ["bio_chain", "bio_put", "bio_work.isra.0", "dm_map"]),
        ('takes:"struct bio *"', ["bio_chain", "bio_put", "dm_map"]),
        ('takes:"const struct bio *"', ["bio_chain", "bio_put", "dm_map"]),
        ("takes:bio **", ["bio_work.isra.0"]),
        ('takes:"struct bio"', []),
        ('takes:"union bio *"', []),
        ("takes:bio_handle", ["submit"]),
        ("takes:dm", ["dm_map"]),
        ("takes:unsigned long", ["bio_alloc"]),
        ("takes:char", []),
        ("takes:char *", ["log"]),
        ("returns:int", ["bio_work.isra.0", "dm_map", "log"]),
        ("returns:void", ["bio_chain", "bio_put", "forbidden"]),
        ("returns:errptr", ["bio_alloc", "submit"]),
        ("returns:bio", ["bio_alloc"]),
        ("args:0", ["forbidden"]),
        ("args:1", ["bio_alloc", "bio_put", "bio_work.isra.0", "log"]),
        ("args:>1", ["bio_chain", "dm_map", "submit"]),
        ("args:<1", ["forbidden"]),
        ("takes:bio returns:int", ["bio_work.isra.0", "dm_map"]),
        ("-takes:bio", ["bio_alloc", "forbidden", "log", "submit"]),
        ("-returns:void -returns:int", ["bio_alloc", "submit"]),
        ("bio_*", ["bio_alloc", "bio_chain", "bio_put", "bio_work.isra.0"]),
        ("bio_* -*.isra.*", ["bio_alloc", "bio_chain", "bio_put"]),
        ("*_map takes:bio", ["dm_map"]),
        ("?og", ["log"]),
        ("BIO_*", []),
        ("mod:dm_mod", ["dm_map"]),
        ("mod:DM-*", ["dm_map"]),
        ("-mod:* args:>1", ["bio_chain", "submit"]),
        ("is:variant", ["bio_work.isra.0"]),
        ("is:probeable", ["bio_alloc", "bio_chain", "bio_put", "log", "submit"]),
        ("is:ftrace takes:bio", ["bio_chain", "bio_put"]),
        ("is:blacklisted", ["forbidden"]),
        ("is:notrace", ["bio_work.isra.0", "dm_map", "hidden"]),
        ("-is:probeable", ["bio_work.isra.0", "dm_map", "forbidden", "hidden"]),
    ],
)
def test_terms(asked: Asked, text: str, names: list[str]) -> None:
    assert asked.names(text) == names


def test_what_is_not_known_meets_neither_a_term_nor_its_opposite(asked: Asked) -> None:
    assert "hidden" not in asked.names("args:>=0") + asked.names("-args:>=0")
    assert "1 functions without a known prototype are left out" in asked.notes("args:0")


def test_armed_ones_are_those_given(asked: Asked) -> None:
    symbol = asked.catalog.find("submit")[0]
    assert asked.names("is:armed", symbol.index) == ["submit"]
    assert asked.names("is:armed") == []
    assert "submit" not in asked.names("-is:armed", symbol.index)


def test_words_are_searched_among_what_meets_the_terms(asked: Asked) -> None:
    result = asked.search.search("bio", among=asked.places("returns:void"))
    assert [asked.catalog.names[row] for row in result.rows] == ["bio_put", "bio_chain"]
    assert asked.search.search("bio_alloc", among=asked.places("returns:void")).total == 0


def test_without_words_what_people_mean_comes_first(asked: Asked) -> None:
    result = asked.search.search("", 2, among=asked.places("args:>=0"))
    assert [asked.catalog.names[row] for row in result.rows] == ["log", "submit"]
    assert (result.total, result.exhaustive) == (8, True)


def test_a_search_among_few_finds_what_many_others_would_have_crowded_out() -> None:
    names = [f"some_name_{number}" for number in range(5_000)]
    index = SearchIndex(names)
    assert index.search("somename", among=1 << index.order.index(4_999)).rows == [4_999]


def test_unanswered_is_not_none_found() -> None:
    early = Asked(catalog())
    assert early.places("takes:bio") is None
    assert "still being indexed" in early.notes("takes:bio")
    assert early.places("is:probeable") is None
    assert "still" in early.notes("is:probeable")
    assert early.names("mod:dm_mod") == ["dm_map"]


def test_a_kernel_without_types_says_why() -> None:
    without = Catalog(kallsyms.parse(KALLSYMS), "x86_64")
    without.add_btf(FactError("this kernel has no BTF"))
    asked = Asked(without)
    asked.functions.add_types()
    assert asked.places("takes:bio") is None
    assert "this kernel has no BTF" in asked.notes("takes:bio")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("returns:errptr", "errptr: any pointer that is returned"),
        ('takes:"struct bio"', 'there is takes:"struct bio *", takes:"struct bio **"'),
        ("takes:nonsuch", "no function takes a type named 'nonsuch'"),
        ("mod:dm", "no loaded module is 'dm'; there is dm-mod"),
    ],
)
def test_what_to_know_of_an_answer(asked: Asked, text: str, words: str) -> None:
    assert words in asked.notes(text)


def test_a_kernel_that_takes_no_probes_says_so_of_every_verdict() -> None:
    kernel = catalog()
    kernel.add_tracing_lists(TracingLists(parse_traceable(b""), Blacklist([]), {}, no_probes="built without"))
    asked = Asked(kernel).complete()
    assert asked.names("is:blacklisted") == []
    assert "takes no probes at all" in asked.notes("is:blacklisted")


def test_verdicts_are_those_of_the_card(asked: Asked) -> None:
    told = {symbol.name: asked.catalog.verdict(symbol) for symbol in map(asked.catalog.symbol, asked.catalog.rows)}
    for wanted, kind in ((Property.PROBEABLE, VerdictKind.PROBEABLE), (Property.NOTRACE, VerdictKind.NOTRACE)):
        expected = sorted(name for name, verdict in told.items() if verdict.kind is kind)
        assert asked.names(f"is:{wanted.word}") == expected
    assert asked.names("is:refused") == sorted(name for name, verdict in told.items() if not verdict.can_arm)


# This machine's kernel, against what the card shows

BTF = Path("/sys/kernel/btf")


@pytest.fixture(scope="module")
def here() -> Asked:
    if not (BTF / "vmlinux").exists():
        pytest.skip("this kernel has no BTF")
    kernel = Catalog(kallsyms.parse(Path("/proc/kallsyms").read_bytes()), "x86_64")
    base = Btf((BTF / "vmlinux").read_bytes())
    kernel.add_btf(base)
    for module in BTF.iterdir():
        if module.name != "vmlinux":
            kernel.add_btf(Btf(module.read_bytes(), base), module.name)
    asked = Asked(kernel)
    asked.functions.add_types()
    return asked


def plain(text: str) -> str:
    """A type of a declaration without what a query ignores."""
    text = re.sub(r"\b(const|volatile|restrict|__user|__rcu|__percpu)\b", " ", text)
    return re.sub(r"\s+", " ", text.replace("*", " * ")).strip().replace("* *", "**").replace("* *", "**")


def takes(prototype: Prototype, wanted: str) -> bool:
    return any(plain(parameter.type.text) == wanted for parameter in prototype.parameters)


def names(prototype: Prototype, name: str) -> bool:
    pattern = re.compile(rf"(struct |union |enum )?{name} ?\**")
    return any(pattern.fullmatch(plain(parameter.type.text)) for parameter in prototype.parameters)


def test_answers_are_what_looking_at_each_prototype_gives(here: Asked) -> None:
    chance = random.Random(7)
    sample = chance.sample(range(len(here.search.order)), 2_500)
    symbols = [here.catalog.symbol(here.catalog.rows[here.search.order[place]]) for place in sample]
    prototypes = [here.catalog.prototype(symbol) for symbol in symbols]
    known = [prototype for prototype in prototypes if prototype.trust is not Trust.NONE]
    assert len(known) > 2_000
    for text, meets in (
        ('takes:"struct file *"', lambda p: takes(p, "struct file *")),
        ("takes:file", lambda p: names(p, "file")),
        ("takes:loff_t", lambda p: names(p, "loff_t")),
        ("takes:unsigned long", lambda p: takes(p, "unsigned long")),
        ("takes:char **", lambda p: takes(p, "char **")),
        ("returns:int", lambda p: plain(p.return_type.text) == "int"),
        ("returns:void *", lambda p: plain(p.return_type.text) == "void *"),
        ("-returns:void", lambda p: plain(p.return_type.text) != "void"),
        ("returns:bool args:2", lambda p: plain(p.return_type.text) == "bool" and len(p.parameters) == 2),
        ("args:>6", lambda p: len(p.parameters) > 6),
        ("-args:<=4", lambda p: len(p.parameters) > 4),
        ("returns:errptr", lambda p: p.return_type.kind.value == "pointer"),
        ("takes:sk_buff * returns:int", lambda p: takes(p, "struct sk_buff *") and p.return_type.text == "int"),
    ):
        places = here.places(text)
        assert places is not None
        found = {place for place in sample if places >> place & 1}
        expected = {
            place
            for place, prototype in zip(sample, prototypes, strict=True)
            if prototype.trust is not Trust.NONE and meets(prototype)
        }
        assert found == expected, (text, [here.catalog.names[here.search.order[p]] for p in found ^ expected][:5])
        assert expected or "**" in text, f"nothing in the sample meets {text}"
