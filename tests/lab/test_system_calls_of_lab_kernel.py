"""System call entries on a real kernel: the arguments come out of the caller's saved registers."""

from __future__ import annotations

import json
import subprocess
import sys

from symbols.c_types import TypeKind
from symbols.system_calls import parse_formats
from tests.lab.tracing_state import TRACEFS

KEXPLORE = [sys.executable, "-m", "explorer.cli"]

CALLS_THE_32_BIT_WAY = """
import ctypes, mmap
MAP_32BIT, MKDIRAT = 0x40, 296
page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_32BIT, prot=7)
start = ctypes.addressof(ctypes.c_char.from_buffer(page))
path = b"/proc/self"
page[1024 : 1024 + len(path)] = path
numbers = [(0xB8, MKDIRAT), (0xBB, 0xFFFFFF9C), (0xB9, start + 1024), (0xBA, 0o700)]  # mov eax, ebx, ecx, edx
code = b"\\x53" + b"".join(bytes([op]) + n.to_bytes(4, "little") for op, n in numbers) + b"\\xcd\\x80\\x5b\\xc3"
page[: len(code)] = code  # push rbx; the numbers; int 0x80; pop rbx; ret
ctypes.CFUNCTYPE(ctypes.c_long)(start)()
open("/etc/passwd").read()
"""


def test_the_formats_are_understood() -> None:
    paths = sorted((TRACEFS / "events/syscalls").glob("sys_enter_*/format"))
    formats = parse_formats(b"".join(path.read_bytes() for path in paths))
    assert len(formats) == len(paths) > 300
    unknown = {a.type.text for of_call in formats.values() for a in of_call if a.type.kind is TypeKind.UNKNOWN}
    assert unknown == set()


def test_arguments_of_both_kinds_of_callers() -> None:
    probes = ["__x64_sys_openat", "__ia32_sys_mkdirat"]
    traced = [sys.executable, "-I", "-S", "-c", CALLS_THE_32_BIT_WAY]
    result = subprocess.run(
        [*KEXPLORE, "trace", "--json", *probes, "--", *traced],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    *events, _ = [json.loads(line) for line in result.stdout.splitlines()]
    opened = [e["values"] for e in events if e["probe"] == probes[0]]
    [passwd] = [values for values in opened if values["filename"]["text"] == "/etc/passwd"]
    assert passwd["dfd"] == {"raw": -100, "text": "AT_FDCWD"}
    assert list(passwd) == ["dfd", "filename", "flags", "mode"]
    [made] = [e["values"] for e in events if e["probe"] == probes[1]]
    assert made["dfd"] == {"raw": -100, "text": "AT_FDCWD"}
    assert made["pathname"]["text"] == "/proc/self"
    assert made["mode"]["raw"] == 0o700
