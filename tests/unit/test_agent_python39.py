"""The agent runs where nothing but an old Python is: its syntax is that of 3.9, its annotations are never evaluated."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[2] / "explorer/agent").glob("*.py"))
# Names that 3.9's standard library does not have and that are easily used by habit.
YOUNGER = {("dataclasses", "slots"), ("itertools", "pairwise"), ("typing", "Self"), ("enum", "StrEnum")}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_it_is_python_3_9(source: Path) -> None:
    tree = ast.parse(source.read_text(), feature_version=(3, 9))
    statements = [node for node in tree.body if not isinstance(node, ast.Expr)]
    if statements:
        assert isinstance(statements[0], ast.ImportFrom)
        assert statements[0].module == "__future__"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not {(node.module or "", alias.name) for alias in node.names} & YOUNGER
        if isinstance(node, ast.Call):
            assert "strict" not in {keyword.arg for keyword in node.keywords} or getattr(node.func, "id", "") != "zip"
