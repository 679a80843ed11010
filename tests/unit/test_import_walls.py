"""The walls of CONTRIBUTING.md as they are at run time: what is really loaded, not what is written."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"textual", "rich", "rapidfuzz", "elftools", "capstone", "bcc"}


def loaded(code: str) -> set[str]:
    """The top-level packages in ``sys.modules`` of a fresh interpreter after ``code``, and explorer's sub-packages."""
    listing = "; import sys; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code + listing], capture_output=True, text=True, check=True)
    names = result.stdout.splitlines()[-1].split()
    return {n.split(".")[0] for n in names} | {".".join(n.split(".")[:2]) for n in names if n.startswith("explorer.")}


def test_symbols_is_a_library() -> None:
    names = loaded("import symbols.catalog, symbols.btf, symbols.search")
    assert not names & {"explorer", "textual", "rich", "bcc"}


def test_the_agent_stands_alone() -> None:
    names = loaded("import explorer.agent.server")
    assert not names & (HEAVY | {"symbols", "asyncio"})
    assert not {n for n in names if n.startswith("explorer.")} - {"explorer.agent"}


def test_the_agent_says_whether_there_is_bcc_without_a_look_inside() -> None:
    names = loaded("from explorer.agent import capabilities; capabilities.hello('/')")
    assert not names & {"bcc", "ctypes"}


def test_the_session_knows_no_screen() -> None:
    names = loaded("import explorer.session.session, explorer.session.target")
    assert not names & {"textual", "rich", "bcc", "explorer.app", "explorer.widgets", "explorer.screens"}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_loads_nothing_heavy(option: str) -> None:
    code = f"import explorer.cli\ntry: explorer.cli.main(['{option}'])\nexcept SystemExit: pass\nimport os"
    names = loaded(code)
    assert not names & (HEAVY | {"asyncio", "symbols.catalog"})


def test_the_screen_starts_without_what_few_sessions_need() -> None:
    assert not loaded("import explorer.app") & {"capstone", "elftools", "bcc"}
