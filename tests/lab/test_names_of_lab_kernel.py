"""Names that stand for several functions, on a real kernel: all variants at once, one of several by its address."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.lab.tracing_state import TRACEFS, tracing_state, wait_for_state

KEXPLORE = [sys.executable, "-m", "explorer.cli"]


def kexplore(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KEXPLORE, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False
    )


def kernel_functions() -> list[tuple[str, str]]:
    """Address and name of each that ftrace can trace, of the kernel itself."""
    listed = Counter((TRACEFS / "available_filter_functions").read_text().splitlines())
    lines = (line.split() for line in Path("/proc/kallsyms").read_text().splitlines())
    found = [(words[0], words[2]) for words in lines if len(words) == 3 and words[2] in listed]
    times = Counter(name for _, name in found)
    return [(address, name) for address, name in found if times[name] == listed[name]]  # not some of a name only


def test_all_variants_and_one_of_a_name_are_armed_together() -> None:
    before = tracing_state()
    functions = kernel_functions()
    times = Counter(name for _, name in functions)
    bases = Counter(name.partition(".")[0] for name in times if "." in name and times[name] == 1)
    base = next(name for name in bases if times[name] == 1)
    variants = [name for name in times if name.startswith(f"{base}.")]
    shared = next(name for name in times if times[name] == 2)
    _, second = (f"0x{address}" for address, name in functions if name == shared)
    result = kexplore("trace", f"{base}.*", second, "--duration", "0.1")
    assert result.returncode == 0, result.stderr
    armed = next(line for line in result.stderr.splitlines() if "armed" in line)
    assert all(name in armed for name in (base, *variants, second)), armed
    wait_for_state(before)  # the next command would remove what this one had left

    refused = kexplore("trace", shared, "--duration", "0.1")
    assert refused.returncode == 1
    assert "2 symbols are named" in refused.stderr
    assert f"{second} (beside " in refused.stderr
