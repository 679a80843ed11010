"""The corpus of ``tests.dwarf_corpus`` posing as a running kernel: moved in memory, with an agent's facts."""

from __future__ import annotations

import subprocess
from pathlib import Path

from symbols.dwarf.image import Image
from tests.dwarf_corpus import compile_corpus
from tests.scripted_agent import ScriptedAgent

RELEASE = "6.12.0-test"
"""What the scripted agent says it is."""
MOVED = 0xFFFFFFFF40000000
"""By how much every address is higher than in the file, as KASLR does."""


def build_kernel(directory: Path) -> Path:
    """The file with the debug information."""
    return compile_corpus(directory, "-gdwarf-5", "-Wl,--defsym=_stext=0x401000", "-Wl,--defsym=_etext=0x402000")


def agent_of(path: Path) -> ScriptedAgent:
    """An agent on a machine that runs it."""
    agent = ScriptedAgent()
    lines, names = [], []
    for line in subprocess.check_output(["nm", "-n", "--defined-only", path], text=True).splitlines():
        address, kind, name = line.split()
        if kind in "tT" or name in ("_stext", "_etext"):
            lines.append(f"{int(address, 16) + MOVED:016x} {'T' if kind == 'A' else kind} {name}")
            names.append(name)
    agent.facts["kallsyms"] = ("\n".join(lines) + "\n").encode()
    agent.facts["available_filter_functions"] = ("\n".join(names) + "\n").encode()
    del agent.facts["btf:vmlinux"], agent.facts["btf"]
    build_id = bytes.fromhex(Image(path.read_bytes()).build_id)
    header = (4).to_bytes(4, "little") + len(build_id).to_bytes(4, "little") + (3).to_bytes(4, "little")
    agent.facts["notes"] = header + b"GNU\0" + build_id
    return agent
