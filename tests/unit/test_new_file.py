"""A file is written whole or not at all, and nothing is replaced unasked."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from explorer import new_file
from symbols.errors import KexploreError


def test_it_is_there_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new"
    new_file.write(path, [b"a", b"b"], force=False)
    assert path.read_bytes() == b"ab"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["new"]


def test_what_is_there_stays_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_text("old")
    with pytest.raises(KexploreError, match="exists already") as caught:
        new_file.write(path, [b"new"], force=False)
    assert "--force" in caught.value.hint
    assert path.read_text() == "old"
    new_file.write(path, [b"new"], force=True)
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["old"]


def test_what_comes_there_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "new"

    def pieces() -> Iterator[bytes]:
        path.write_text("somebody else's")
        yield b"ours"

    with pytest.raises(KexploreError, match="File exists"):
        new_file.write(path, pieces(), force=False)
    assert path.read_text() == "somebody else's"
    assert os.listdir(tmp_path) == ["new"]


def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "pipe", tmp_path / "folder", Path("/dev/null")):
        with pytest.raises(KexploreError, match="no regular file"):
            new_file.write(path, [b"x"], force=True)
    with pytest.raises(KexploreError, match="there is no folder"):
        new_file.write(tmp_path / "absent" / "x", [b"x"], force=False)


def test_where_there_are_no_hard_links_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: str, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    new_file.write(tmp_path / "new", [b"x"], force=False)
    assert os.listdir(tmp_path) == ["new"]


IN_A_SMALL_WORLD = """
import pathlib, resource, sys
from explorer import new_file
from symbols.errors import KexploreError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # files end there, as those of a full disk do somewhere
try:
    new_file.write(pathlib.Path(sys.argv[1]), [bytes(600), bytes(600)], force=False)
except KexploreError as error:
    print(error.message)
"""


def test_when_there_is_no_room_nothing_is_left(tmp_path: Path) -> None:
    # In a process of its own: what pytest reports may go to a file, too.
    done = subprocess.run(
        [sys.executable, "-c", IN_A_SMALL_WORLD, str(tmp_path / "new")], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"cannot write .*: File too large\n", done.stdout)
    assert os.listdir(tmp_path) == []
