"""The agent reads code out of /proc/kcore, and nothing but code."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from explorer.agent.facts import Facts
from explorer.agent.failure import RequestError
from explorer.agent.kernel_code import LARGEST
from explorer.agent.protocol import Code

TEXT, MODULE = 0xFFFFFFFF81000000, 0xFFFFFFFFC0000000
KALLSYMS = f"""\
{TEXT:016x} T _text
{TEXT + 0x40:016x} T _stext
{TEXT + 0x100:016x} T vfs_read
{TEXT + 0x800:016x} T _etext
{TEXT + 0x900:016x} D jiffies
{TEXT + 0xA00:016x} D __start___jump_table
{TEXT + 0xA40:016x} D __stop___jump_table
{MODULE + 0x40:016x} t ext4_write\t[ext4]
{MODULE + 0x2000:016x} d ext4_secret\t[ext4]
{MODULE:016x} t ext4_read\t[ext4]
{MODULE + 0x4000:016x} t bpf_prog_x\t[bpf]
"""
MEMORY = bytes(number % 251 for number in range(0x5000))


def core_file(*segments: tuple[int, bytes]) -> bytes:
    """An ELF core file with these pieces of memory."""
    header = struct.pack(
        "=16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 4, 62, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0
    )
    place = 64 + 56 * len(segments)
    table = body = b""
    for address, data in segments:
        table += struct.pack("=IIQQQQQQ", 1, 7, place + len(body), address, 0, len(data), len(data), 4096)
        body += data
    return header + table + body


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/kallsyms").write_text(KALLSYMS)
    (tmp_path / "proc/kcore").write_bytes(core_file((TEXT, MEMORY), (MODULE, MEMORY)))
    return tmp_path


def read(root: Path, address: int, length: int) -> bytes:
    return b"".join(data for data, _ in Facts(str(root)).chunks(f"text:{address:#x}:{length}", compress=False))


def refusal(root: Path, name: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        list(Facts(str(root)).chunks(name, compress=False))
    return caught.value


def test_code_is_read_by_its_address(root: Path) -> None:
    assert read(root, TEXT + 0x100, 0x200) == MEMORY[0x100:0x300]
    assert read(root, TEXT + 0x40, 0x7C0) == MEMORY[0x40:0x800]
    assert read(root, MODULE, 0x40) == MEMORY[:0x40]


@pytest.mark.parametrize(
    ("address", "length"),
    [
        (TEXT, 0x100), (TEXT + 0x7F0, 0x11), (TEXT + 0x900, 8), (0x1000, 16), ((1 << 64) - 1, LARGEST),
        (MODULE, 0x41), (MODULE + 0x40, 0x1000), (MODULE + 0x2000, 8), (MODULE + 0x4000, 8),
    ],
    ids=[
        "before the code", "over its end", "data", "user memory", "the end of all", "over a function's end",
        "over the page behind a module's last function", "a module's data", "code made at run time",
    ],
)  # fmt: skip
def test_nothing_else_is_read(root: Path, address: int, length: int) -> None:
    assert refusal(root, f"text:{address:#x}:{length}").code is Code.BAD_REQUEST


def test_the_last_function_of_a_module_is_read_to_the_end_of_its_page(root: Path) -> None:
    assert read(root, MODULE + 0x40, 0xFC0) == MEMORY[0x40:0x1000]


def test_the_tables_of_what_the_kernel_rewrites_are_read_by_their_marks(root: Path) -> None:
    data = b"".join(piece for piece, _ in Facts(str(root)).chunks("jump_labels", compress=False))
    assert data == MEMORY[0xA00:0xA40]
    assert refusal(root, "static_calls").code is Code.NO_SUCH_FACT


@pytest.mark.parametrize("piece", ["", "0x10", "10:10", "0x10:0", f"0x10:{LARGEST + 1}", "0x10:-1", "0xX:1", "0x1:1:1"])
def test_a_piece_has_a_form_and_a_limit(root: Path, piece: str) -> None:
    assert refusal(root, f"text:{piece}").code is Code.BAD_REQUEST


def test_hidden_addresses_are_the_cause_where_they_are(root: Path) -> None:
    (root / "proc/kallsyms").write_text("0000000000000000 T _text\n0000000000000000 T _etext\n")
    refused = refusal(root, f"text:{TEXT:#x}:16")
    assert (refused.code, "kptr_restrict" in refused.hint) == (Code.NOT_PERMITTED, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "does not offer /proc/kcore"), (b"", "is empty here"), (core_file((0x1000, b"x")), "has no memory at")],
)
def test_why_it_cannot_be_read(root: Path, content: bytes | None, words: str) -> None:
    (root / "proc/kcore").unlink()
    if content is not None:
        (root / "proc/kcore").write_bytes(content)
    assert words in refusal(root, f"text:{TEXT + 0x100:#x}:16").message


@pytest.mark.parametrize(
    ("number", "lockdown", "words"),
    [
        (13, "", "by root only"),
        (1, "none integrity [confidentiality]", "locked down"),
        (1, "none [integrity] confidentiality", "CAP_SYS_RAWIO"),
    ],
)
def test_a_closed_door_says_who_closed_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, lockdown: str, words: str
) -> None:
    (root / "sys/kernel/security").mkdir(parents=True)
    (root / "sys/kernel/security/lockdown").write_text(lockdown)

    def closed(path: str, flags: int) -> int:
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(os, "open", closed)
    refused = refusal(root, f"text:{TEXT + 0x100:#x}:16")
    assert refused.code is Code.NOT_PERMITTED
    assert words in refused.message
