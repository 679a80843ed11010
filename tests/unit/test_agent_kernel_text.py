"""Symbols to addresses and back, and what a refusal without a reason is traced to."""

from __future__ import annotations

import bisect
import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.agent import probe_definition, refusals
from explorer.agent.definitions import DefinitionRefused
from explorer.agent.failure import RequestError
from explorer.agent.kernel_text import KernelText, Place
from explorer.agent.protocol import Code

KALLSYMS = """\
ffffffff81000000 T _text
ffffffff81000000 T _stext
ffffffff812a5678 T handle_mm_fault
ffffffff812a5680 T __handle_mm_fault
ffffffff812a5700 t type_show
ffffffff812a5740 t type_show
ffffffff812a5780 T on_the_blacklist
ffffffff812a57a0 T without_trace
ffffffff812a5800 T traced
ffffffff812a5900 T _etext
ffffffff82000000 D jiffies
ffffffff83000000 T _sinittext
ffffffff83000010 T start_kernel
ffffffff83001000 T _einittext
ffffffffc0000000 t ext4_read\t[ext4]
ffffffffc0000040 t ext4_write\t[ext4]
ffffffffc0100000 t type_show\t[dm_mod]
ffffffffc0100020 t dm_end\t[dm_mod]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/kallsyms").write_text(KALLSYMS)
    tracing = tmp_path / "sys/kernel/tracing"
    tracing.mkdir(parents=True)
    (tracing / "README").write_text("")
    (tracing / "available_filter_functions").write_text("traced\nhandle_mm_fault\next4_read [ext4]\n")
    blacklist = tmp_path / "sys/kernel/debug/kprobes/blacklist"
    blacklist.parent.mkdir(parents=True)
    blacklist.write_text("0xffffffff812a5780-0xffffffff812a57a0\ton_the_blacklist\n")
    return tmp_path


def test_instances_of_a_name(root: Path) -> None:
    text = KernelText(str(root))
    assert [(hex(s.start), s.end - s.start, s.module) for s in text.instances("type_show")] == [
        ("0xffffffff812a5700", 0x40, ""), ("0xffffffff812a5740", 0x40, ""), ("0xffffffffc0100000", 0x20, "dm_mod"),
    ]  # fmt: skip
    assert [symbol.module for symbol in text.instances("type_show", "dm_mod")] == ["dm_mod"]
    assert text.instances("show") == []
    assert not text.instances("jiffies")[0].is_code


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (0xFFFFFFFF812A5678, "handle_mm_fault+0"), (0xFFFFFFFF812A567F, "handle_mm_fault+7"),
        (0xFFFFFFFF812A5680, "__handle_mm_fault+0"), (0xFFFFFFFFC0000041, "ext4_write+1"), (0x1000, None),
        (0xFFFFFFFF82000008, None), ((1 << 64) - 1, None),
    ],
)  # fmt: skip
def test_the_symbol_at_an_address(root: Path, address: int, expected: str | None) -> None:
    place = KernelText(str(root)).at(address)
    assert (None if place is None else f"{place.symbol.name}+{place.offset}") == expected


@given(
    starts=st.lists(st.integers(0, 1 << 12), min_size=1, max_size=30, unique=True).map(sorted),
    probe=st.integers(0, 1 << 12),
)
def test_the_symbol_at_an_address_is_the_nearest_before(
    tmp_path_factory: pytest.TempPathFactory, starts: list[int], probe: int
) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "proc").mkdir()
    (root / "proc/kallsyms").write_text("".join(f"{1 + start:016x} T f{start}\n" for start in starts))
    found: Place | None = KernelText(str(root)).at(1 + probe)
    index = bisect.bisect_right(starts, probe) - 1
    if found is None:
        assert index < 0 or (index == len(starts) - 1 and probe > starts[-1])
    else:
        assert found.symbol.name == f"f{starts[index]}"


def test_a_place_by_address(root: Path) -> None:
    text = KernelText(str(root))
    assert refusals.place_of_address(text, 0xFFFFFFFF812A5740) == f"_text+{0x2A5740}"
    assert refusals.place_of_address(text, 0xFFFFFFFFC0000044) == "ext4:ext4_write+4"
    with pytest.raises(RequestError, match="no code of the kernel at 0x1000"):
        refusals.place_of_address(text, 0x1000)


def test_hidden_addresses_are_said_to_be_hidden(root: Path) -> None:
    (root / "proc/kallsyms").write_text("0000000000000000 T _text\n0000000000000000 T _etext\n")
    with pytest.raises(RequestError) as caught:
        refusals.place_of_address(KernelText(str(root)), 0xFFFFFFFF81000000)
    assert caught.value.code is Code.NOT_PERMITTED
    assert "kptr_restrict" in caught.value.hint


def test_an_offset_past_the_end_names_the_function_that_it_would_hit(root: Path) -> None:
    request = probe_definition.parse({"symbol": "handle_mm_fault", "offset": 8, "kind": "entry"}, "x86_64")
    with pytest.raises(
        RequestError, match=r"handle_mm_fault is 8 bytes long: \+8 lies beyond it; there is __handle_mm_f"
    ):
        refusals.check_offset(KernelText(str(root)), request)


@pytest.mark.parametrize(
    ("symbol", "number", "complaint", "code", "words"),
    [
        ("nosuch", errno.ENOENT, "", Code.UNKNOWN_SYMBOL, "no function nosuch"),
        ("nosuch", errno.EINVAL, "Invalid probed address or symbol", Code.UNKNOWN_SYMBOL, "no function nosuch"),
        ("type_show", errno.EADDRNOTAVAIL, "", Code.NOT_UNIQUE, "several functions"),
        ("type_show", errno.EINVAL, "The symbol is not unique", Code.NOT_UNIQUE, "several functions"),
        ("traced", errno.EILSEQ, "Probe point is not an instruction boundary", Code.NOT_A_BOUNDARY, "no instruction"),
        ("on_the_blacklist", errno.EINVAL, "Failed to register probe event", Code.REFUSED, "kprobe blacklist"),
        ("start_kernel", errno.EINVAL, "Failed to register probe event", Code.REFUSED, "__init"),
        ("jiffies", errno.EINVAL, "Failed to register probe event", Code.REFUSED, "is data"),
        ("without_trace", errno.EINVAL, "Failed to register probe event", Code.REFUSED, "notrace"),
        ("traced", errno.EINVAL, "Failed to register probe event", Code.REFUSED, "does not say why"),
        ("traced", errno.EINVAL, "Invalid register name", Code.REFUSED, "Invalid register name"),
        ("traced", errno.EPERM, "", Code.NOT_PERMITTED, "forbids"),
        ("traced", errno.ENOMEM, "", Code.REFUSED, "Cannot allocate memory"),
    ],
)
def test_refusals(root: Path, symbol: str, number: int, complaint: str, code: Code, words: str) -> None:
    request = probe_definition.parse({"symbol": symbol, "kind": "entry"}, "x86_64")
    refused = DefinitionRefused(OSError(number, "Cannot allocate memory"), complaint)
    refusal = refusals.not_defined(refused, request, request.place, KernelText(str(root)), str(root))
    assert refusal.code is code
    assert words in refusal.message


def test_several_functions_of_a_name_are_listed_by_address(root: Path) -> None:
    request = probe_definition.parse({"symbol": "type_show", "kind": "entry"}, "x86_64")
    refused = DefinitionRefused(OSError(errno.EADDRNOTAVAIL, ""), "")
    refusal = refusals.not_defined(refused, request, "type_show", KernelText(str(root)), str(root))
    assert "0xffffffff812a5700, 0xffffffff812a5740, 0xffffffffc0100000" in refusal.hint
