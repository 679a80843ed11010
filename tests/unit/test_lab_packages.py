"""Finding the lab's programs, and installing them or saying how."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from explorer.lab import packages
from explorer.lab.errors import LabError
from explorer.lab.packages import programs
from symbols.errors import Category


def make_program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory in which programs are found."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setattr(packages, "SYSTEM_DIRECTORIES", str(directory))
    return directory


async def test_the_newer_virtiofsd_is_preferred(path: Path, tmp_path: Path) -> None:
    qemu = make_program(path / packages.QEMU)
    make_program(tmp_path / "usr/lib/qemu/virtiofsd")
    assert (await programs(print, tmp_path)).virtiofsd == tmp_path / "usr/lib/qemu/virtiofsd"
    make_program(tmp_path / "usr/libexec/virtiofsd")
    found = await programs(print, tmp_path)
    assert (found.qemu, found.virtiofsd) == (qemu, tmp_path / "usr/libexec/virtiofsd")


async def test_root_installs_what_is_missing_after_a_word(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("ROOT", str(tmp_path))
    make_program(
        path / "apt-get",
        """#!/bin/sh
/bin/cp "$0" "$ROOT/bin/qemu-system-x86_64"
case "$*" in *virtiofsd*) /bin/mkdir -p "$ROOT/usr/libexec"; /bin/cp "$0" "$ROOT/usr/libexec/virtiofsd";; esac
""",
    )
    said: list[str] = []
    found = await programs(said.append, tmp_path)
    assert found.qemu == path / packages.QEMU
    assert said == ["installing qemu-system-x86 (apt-get)", "installing virtiofsd (apt-get)"]


async def test_others_are_told_the_command(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    make_program(path / "apt-get", "#!/bin/sh\ntouch $0.was-run\n")
    with pytest.raises(LabError) as refused:
        await programs(print, tmp_path)
    assert refused.value.category is Category.NOT_PERMITTED
    assert refused.value.hint == "install it: sudo apt-get install --no-install-recommends qemu-system-x86"
    assert not (path / "apt-get.was-run").exists()


async def test_an_installation_that_fails_says_apts_last_word(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    make_program(path / "apt-get", "#!/bin/sh\necho 'E: Unable to locate package' >&2\nexit 100\n")
    with pytest.raises(LabError, match="E: Unable to locate package"):
        await programs(lambda _: None, tmp_path)


async def test_a_system_without_apt_is_told_what_to_install(path: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="needs qemu-system-x86, and this system has no apt"):
        await programs(print, tmp_path)
