"""Debug information against what binutils and dwarves read from the same file, in every form that is written."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symbols.dwarf.debug_info import DebugInfo
from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.image import Image
from symbols.dwarf.inline_index import InlineIndex, build
from symbols.errors import KexploreError
from symbols.location import Memory, Register, Stack, Unknown
from symbols.prototype import Source, Trust
from tests.dwarf_corpus import compile_corpus, inline_chain, inlined_entries, symbol_address

FORMS = {
    "DWARF 5": ("-gdwarf-5",),
    "DWARF 4": ("-gdwarf-4",),
    "DWARF 3": ("-gdwarf-3", "-gstrict-dwarf"),
    "64 bits": ("-gdwarf-5", "-gdwarf64"),
    "zlib": ("-gdwarf-5", "-gz=zlib"),
    "zlib, the old way": ("-gdwarf-4", "-gz=zlib-gnu"),
    "zstd": ("-gdwarf-5",),
    "no list of addresses": ("-gdwarf-5",),
}
MANY = (
    "long takes_many(struct point *at, const char *const *names, int (*compare)(const void *, const void *), "
    "mode_type mode, enum colour colour, unsigned char flag, long seventh, struct point whole)"
)


@pytest.fixture(scope="module", params=FORMS)
def corpus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    form = request.param
    if form == "zstd":
        pytest.importorskip("zstandard")
    path = compile_corpus(tmp_path_factory.mktemp(re.sub(r"\W", "_", form)), *FORMS[form])
    if form == "no list of addresses":
        subprocess.run(["objcopy", "--remove-section=.debug_aranges", path], check=True)
    if form == "zstd":
        made = subprocess.run(["objcopy", "--compress-debug-sections=zstd", path], capture_output=True, check=False)
        if made.returncode:
            pytest.skip("this objcopy cannot compress with zstd")
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_corpus(tmp_path_factory.mktemp("plain"), "-gdwarf-5")


def opened(path: Path) -> DebugInfo:
    return DebugInfo(Image(path.read_bytes()), "x86_64")


def test_prototypes_are_those_of_the_source(corpus: Path) -> None:
    info = opened(corpus)
    found = info.prototype(symbol_address(corpus, "takes_many"), "takes_many")
    assert found is not None
    assert (found.text, found.source, found.trust) == (MANY, Source.DWARF, Trust.EXACT)
    assert [p.location.text() for p in found.parameters] == [
        "di", "si", "dx", "cx", "r8", "r9", "sp+0x8", "sp+0x10",
    ]  # fmt: skip
    assert found.parameters[4].type.enumerators == (("RED", 0), ("BLUE", 7))
    varargs = info.prototype(symbol_address(corpus, "variable"), "variable")
    assert varargs is not None
    assert (varargs.text, varargs.varargs) == ("void variable(const char *format, ...)", True)


def test_prototypes_agree_with_pfunct(plain: Path) -> None:
    if shutil.which("pfunct") is None:
        pytest.skip("pfunct is not installed")
    info = opened(plain)
    told = subprocess.check_output(["pfunct", "-F", "dwarf", "-P", plain], text=True).replace("long int", "long")
    theirs = {words[words.index("(") - 1]: words for line in told.splitlines() if (words := _words(line.strip(";")))}
    for name in ("takes_many", "first", "second", "on_the_stack", "variable"):
        found = info.prototype(symbol_address(plain, name), name)
        assert found is not None
        assert _words(found.text) == theirs[name]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\s\w]", text)


def test_source_lines_agree_with_addr2line(corpus: Path) -> None:
    info = opened(corpus)
    lines = (corpus.parent / "corpus.c").read_text().splitlines()
    for name in ("takes_many", "first", "second"):
        address = symbol_address(corpus, name)
        found = info.function(address)
        assert found is not None
        assert found.declared is not None
        assert found.declared.file == "corpus.c"
        assert f" {name}(" in lines[found.declared.line - 1]
        assert inline_chain(corpus, address)[-1] == (name, str(found.entry))


def test_every_inlined_copy_is_found(corpus: Path) -> None:
    image = Image(corpus.read_bytes())
    index = InlineIndex(build(image), image.build_id)
    ours = sorted((name, address) for name in index.names() for address, _ in index.find(name))
    assert ours == inlined_entries(corpus)
    assert index.count("from_header") == 3
    assert "takes_many" not in index
    info = DebugInfo(image, "x86_64")
    for address, entry in index.find("from_header"):
        copy = info.copy(entry)
        assert copy.address == address
        assert copy.declaration == "int from_header(int number, int added)"
        assert copy.declared is not None
        assert copy.declared.file.endswith("inlined.h")
        chain = inline_chain(corpus, address)
        assert chain[0][0] == "from_header"
        assert chain[1][1] == str(copy.called)


def test_copies_of_a_function_are_found_in_its_own_unit(corpus: Path) -> None:
    info = opened(corpus)
    within = symbol_address(corpus, "second")
    assert len(info.copies_near(within, "from_header")) == 2  # the third is in the other file
    assert len(info.copies_near(symbol_address(corpus, "elsewhere"), "from_header")) == 1


def test_arguments_of_copies_are_where_the_code_has_them(corpus: Path) -> None:
    """In ``second`` its own arguments are still in their registers; ``added`` is a constant that no register holds."""
    info = opened(corpus)
    start = symbol_address(corpus, "second")
    inside = range(start, start + 0x60)
    (copy,) = [c for a, e in info.copies_near(start, "from_header") if a in inside and (c := info.copy(e))]
    number, added = (parameter.location for parameter in copy.parameters)
    assert number == Register("di", 0x70, 4)
    assert isinstance(added, Unknown)
    if "DWARF_3" not in str(corpus):  # which has no word for a constant
        assert added.cause == "it is always 6 here: the compiler put the constant in its place"
    first, _ = (info.copy(e) for a, e in info.copies_near(start, "twice") if a in inside)
    assert first.parameters[0].location == Register("si", 0x68, 8)


def test_an_argument_on_the_stack_is_found_from_the_stack_pointer(corpus: Path) -> None:
    """``g`` was passed on the stack; by the time of the copy the function has made room for its array below it."""
    info = opened(corpus)
    start = symbol_address(corpus, "on_the_stack")
    (copy,) = [c for a, e in info.copies_near(start, "twice") if start < a < start + 0x100 and (c := info.copy(e))]
    code = subprocess.check_output(["objdump", "-d", "--no-show-raw-insn", corpus], text=True)
    body = code.partition("<on_the_stack>:")[2].partition("ret")[0]
    room = sum(int(size, 16) for size in re.findall(r"sub +\$0x([0-9a-f]+),%rsp", body))
    assert room
    assert copy.parameters[0].location == Memory("sp", 0x98, room + 8, 8)


def test_a_variant_has_its_arguments_where_its_description_says(plain: Path) -> None:
    listing = subprocess.check_output(["nm", plain], text=True)
    match = re.search(r"^(\w+) t (narrowed\.\S+)$", listing, re.MULTILINE)
    if match is None:
        pytest.skip("this gcc made no variant of it")
    found = opened(plain).prototype(int(match[1], 16), match[2])
    assert found is not None
    assert found.text == f"int {match[2]}(int used, int unused, int constant)"
    used, unused, constant = (p.location for p in found.parameters)
    assert used == Register("di", 0x70, 4)
    assert isinstance(unused, Unknown)
    assert constant == Unknown("it is always 11 here: the compiler put the constant in its place")


def test_a_file_that_is_not_linked_is_relocated(tmp_path: Path) -> None:
    path = compile_corpus(tmp_path, "-gdwarf-5", "-ffunction-sections", link=False)
    image = Image(path.read_bytes())
    info = DebugInfo(image, "x86_64")
    addresses = {name: image.addresses_of(name) for name in ("takes_many", "first", "second")}
    assert len({address for (address,) in addresses.values()}) == 3  # all begin at zero of their sections
    for name, (address,) in addresses.items():
        found = info.function(address)
        assert found is not None
        assert found.name == name
    found_text = info.prototype(addresses["takes_many"][0], "takes_many")
    assert found_text is not None
    assert found_text.text == MANY


def test_split_debug_information_is_named(tmp_path: Path) -> None:
    path = compile_corpus(tmp_path, "-gdwarf-5", "-gsplit-dwarf")
    with pytest.raises(DebugInfoError, match=r"split off into .*\.dwo"):
        opened(path).function(symbol_address(path, "first"))


def test_without_debug_information_it_says_so(plain: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-g", "-o", stripped, plain], check=True)
    with pytest.raises(DebugInfoError, match="no debug information"):
        opened(stripped)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[: len(data) // 2], "damaged"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "damaged"),
        (lambda data: b"x" + data[1:], "another version"),
        (lambda data: b"", "damaged"),
    ],
)
def test_a_damaged_index_is_known_for_one(plain: Path, change: Callable[[bytes], bytes], words: str) -> None:
    image = Image(plain.read_bytes())
    with pytest.raises(DebugInfoError, match=words):
        InlineIndex(change(build(image)), image.build_id)


def test_an_index_of_another_kernel_is_refused(plain: Path) -> None:
    with pytest.raises(DebugInfoError, match="another kernel"):
        InlineIndex(build(Image(plain.read_bytes())), "00" * 20)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12), cut=st.floats(0.3, 1))
def test_damage_ends_in_an_error_or_an_answer(plain: Path, damage: list[tuple[float, int]], cut: float) -> None:
    whole = bytearray(plain.read_bytes())
    address = symbol_address_of(plain)
    for place, value in damage:
        whole[int(place * (len(whole) - 1))] = value
    with contextlib.suppress(KexploreError):  # a typed error is as good as an answer
        image = Image(bytes(whole[: int(cut * len(whole))]))
        info = DebugInfo(image, "x86_64")
        info.function(address)
        info.prototype(address, "second")
        for _, entry in info.copies_near(address, "from_header"):
            info.copy(entry)
        build(image)


_ADDRESSES: dict[Path, int] = {}


def symbol_address_of(path: Path) -> int:
    if path not in _ADDRESSES:
        _ADDRESSES[path] = symbol_address(path, "second")
    return _ADDRESSES[path]


def test_stack_slots_of_entry_are_those_of_the_convention(plain: Path) -> None:
    found = opened(plain).prototype(symbol_address(plain, "on_the_stack"), "on_the_stack")
    assert found is not None
    assert found.parameters[6].location == Stack(1, 8, 8)
