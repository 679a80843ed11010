"""What the agent reads out: named facts of a file tree, whole or in pieces, and why one cannot be had."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import pytest

from explorer.agent import protocol
from explorer.agent.facts import Facts
from explorer.agent.failure import RequestError
from explorer.agent.protocol import Code


def put(root: Path, name: str, data: bytes | str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def whole(root: Path, name: str, *, compress: bool = False) -> bytes:
    pieces = list(Facts(str(root)).chunks(name, compress))
    assert [last for _, last in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(len(data) <= protocol.CHUNK for data, _ in pieces)
    data = b"".join(data for data, _ in pieces)
    return zlib.decompress(data) if compress else data


def refusal(root: Path, name: str) -> RequestError:
    with pytest.raises(RequestError) as caught:
        whole(root, name)
    return caught.value


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("size", [0, 1, protocol.CHUNK - 1, protocol.CHUNK, protocol.CHUNK + 1, 3 * protocol.CHUNK])
def test_a_fact_arrives_whole_whatever_its_size(tmp_path: Path, size: int, compress: bool) -> None:
    data = os.urandom(size)
    put(tmp_path, "proc/kallsyms", data)
    assert whole(tmp_path, "kallsyms", compress=compress) == data


def test_tracing_facts_come_from_wherever_tracefs_is_mounted(tmp_path: Path) -> None:
    put(tmp_path, "sys/kernel/debug/tracing/README", "tracing mini-HOWTO")
    put(tmp_path, "sys/kernel/debug/tracing/kprobe_events", "p:g/e f\n")
    assert whole(tmp_path, "tracing_readme") == b"tracing mini-HOWTO"
    assert whole(tmp_path, "dynamic_events") == b"p:g/e f\n"


def test_the_formats_of_all_system_calls_are_one_fact(tmp_path: Path) -> None:
    assert refusal(tmp_path, "syscall_formats").code is not Code.FAILED, "tracefs is not mounted"
    put(tmp_path, "sys/kernel/tracing/README", "")
    put(tmp_path, "sys/kernel/tracing/kprobe_events", "")
    assert "CONFIG_FTRACE_SYSCALLS" in refusal(tmp_path, "syscall_formats").hint
    for name in ("sys_enter_openat", "sys_enter_close", "sys_exit_close"):
        put(tmp_path, f"sys/kernel/tracing/events/syscalls/{name}/format", f"name: {name}\n")
    assert whole(tmp_path, "syscall_formats") == b"name: sys_enter_close\nname: sys_enter_openat\n"


def test_the_build_options_are_text_wherever_they_are(tmp_path: Path) -> None:
    put(tmp_path, f"boot/config-{os.uname().release}", "CONFIG_KPROBES=y\n")
    assert whole(tmp_path, "config") == b"CONFIG_KPROBES=y\n"
    put(tmp_path, "proc/config.gz", gzip.compress(b"CONFIG_FTRACE=y\n"))
    assert whole(tmp_path, "config") == b"CONFIG_FTRACE=y\n"
    put(tmp_path, "proc/config.gz", b"no gzip at all")
    assert refusal(tmp_path, "config").code is Code.FAILED


def test_type_information_is_asked_for_by_module(tmp_path: Path) -> None:
    put(tmp_path, "sys/kernel/btf/vmlinux", b"\x9f\xeb")
    put(tmp_path, "sys/kernel/btf/ext4", b"\x9f\xeb\x01")
    assert whole(tmp_path, "btf") == b"ext4\nvmlinux\n"
    assert whole(tmp_path, "btf:ext4") == b"\x9f\xeb\x01"
    assert refusal(tmp_path, "btf:xfs").code is Code.NO_SUCH_FACT


@pytest.mark.parametrize(
    "name", ["", "shadow", "/etc/shadow", "../etc/shadow", "kallsyms/../modules", "TRACEFS/README"]
)
def test_there_is_no_way_to_another_file(tmp_path: Path, name: str) -> None:
    put(tmp_path, "etc/shadow", "secret")
    assert refusal(tmp_path, name).code is Code.NO_SUCH_FACT


@pytest.mark.parametrize("name", ["btf:../../../etc/shadow", "btf:", "btf:a b", "btf:.", "btf:/etc/shadow"])
def test_a_module_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    put(tmp_path, "etc/shadow", "secret")
    (tmp_path / "sys/kernel/btf").mkdir(parents=True)
    assert refusal(tmp_path, name).code is Code.BAD_REQUEST


@pytest.mark.parametrize(
    ("name", "cause", "hint"),
    [
        ("kallsyms", "does not offer kallsyms", "CONFIG_KALLSYMS"),
        ("kprobe_blacklist", "does not offer kprobe_blacklist", "mount -t debugfs"),
        ("btf", "does not offer btf", "CONFIG_DEBUG_INFO_BTF"),
        ("enabled_functions", "tracefs is not mounted", "mount -t tracefs"),
        ("config", "does not offer config", "CONFIG_IKCONFIG_PROC"),
    ],
)
def test_what_is_absent_is_said_with_a_way_out(tmp_path: Path, name: str, cause: str, hint: str) -> None:
    error = refusal(tmp_path, name)
    assert cause in error.message
    assert hint in error.hint


def test_a_directory_in_place_of_a_file_is_an_error_not_a_crash(tmp_path: Path) -> None:
    (tmp_path / "proc/kallsyms").mkdir(parents=True)
    assert refusal(tmp_path, "kallsyms").code is Code.FAILED
