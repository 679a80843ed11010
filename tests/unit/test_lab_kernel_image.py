"""Fetching the kernel into the cache, with an apt of scripts."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

import pytest

from explorer.lab import packages
from explorer.lab.errors import LabError
from explorer.lab.kernel_image import SERIES_6_12, KernelImage, cache_directory, kernel_image
from symbols.errors import Category

PACKAGE = "linux-image-6.12.9+deb12-cloud-amd64"
RELEASE = "6.12.9+deb12-cloud-amd64"

APT_CACHE = """#!/bin/sh
case "$1" in
depends)
    for name; do :; done
    [ -e $STATE/lists ] && [ "$name" = linux-image-6.12-cloud-amd64 ] || exit 100
    echo "$name"; echo "  Depends: $(cat $STATE/lists)";;
show) echo "Package: x"; echo "Size: 34307256";;
esac
"""
APT_GET = """#!/bin/sh
echo "$@" >> $STATE/log
case "$*" in
update) echo linux-image-6.12.9+deb12-cloud-amd64 > $STATE/lists;;
*6.12.8*) echo "E: Failed to fetch: 404  Not Found" >&2; exit 100;;
*download*) touch kernel.deb;;
esac
"""
DPKG_DEB = """#!/bin/sh
mkdir -p "$3/boot" "$3/lib/modules/6.12.9+deb12-cloud-amd64/kernel/fs"
touch "$3/boot/vmlinuz-6.12.9+deb12-cloud-amd64" "$3/lib/modules/6.12.9+deb12-cloud-amd64/kernel/fs/overlay.ko.xz"
"""


class FakeApt:
    """Scripts by apt's names, first in PATH; ``lists`` holds the package that apt knows of."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = directory / "state"
        programs = directory / "bin"
        for made in (self.state, programs):
            made.mkdir()
        for name, text in (("apt-cache", APT_CACHE), ("apt-get", APT_GET), ("dpkg-deb", DPKG_DEB)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
        monkeypatch.setenv("STATE", str(self.state))
        self.knows(PACKAGE)

    def knows(self, package: str) -> None:
        (self.state / "lists").write_text(package + "\n")

    def forgets(self) -> None:
        (self.state / "lists").unlink()

    @property
    def asked(self) -> list[str]:
        log = self.state / "log"
        return [line.split()[-2] if "download" in line else line for line in log.read_text().splitlines()]


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeApt:
    return FakeApt(tmp_path, monkeypatch)


async def test_the_kernel_is_fetched_once_and_then_cached(apt: FakeApt, tmp_path: Path) -> None:
    said: list[str] = []
    image = await kernel_image(SERIES_6_12, tmp_path / "cache", said.append)
    assert image.release == RELEASE
    assert image.kernel.exists()
    assert image.module("overlay").name == "overlay.ko.xz"
    assert said == ["fetching the kernel (34 MB)"]
    assert await kernel_image(SERIES_6_12, tmp_path / "cache", said.append) == image
    assert apt.asked == ["download"]
    assert [path.name for path in (tmp_path / "cache/kernels").iterdir()] == [PACKAGE]


async def test_a_cached_kernel_needs_no_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    for version in ("6.12.9", "6.12.10", "6.1.200"):
        (tmp_path / f"kernels/linux-image-{version}-cloud-amd64").mkdir(parents=True)
    image = await kernel_image(SERIES_6_12, tmp_path, print)
    assert image.release == "6.12.10-cloud-amd64"


async def test_what_a_killed_process_left_is_no_kernel(apt: FakeApt, tmp_path: Path) -> None:
    left = tmp_path / "cache/kernels/.unfinished-abc"
    (left / "boot").mkdir(parents=True)
    await kernel_image(SERIES_6_12, tmp_path / "cache", lambda _: None)
    assert not left.exists()


async def test_a_failed_fetch_leaves_nothing(apt: FakeApt, tmp_path: Path) -> None:
    apt.knows("linux-image-6.12.7+deb12-cloud-amd64")  # what dpkg-deb brings is 6.12.9
    with pytest.raises(LabError, match=r"holds no vmlinuz-6\.12\.7"):
        await kernel_image(SERIES_6_12, tmp_path / "cache", lambda _: None)
    assert list((tmp_path / "cache/kernels").iterdir()) == []


async def test_two_at_once_fetch_once(apt: FakeApt, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    said: list[str] = []
    images = await asyncio.gather(*(kernel_image(SERIES_6_12, cache, said.append) for _ in range(2)))
    assert images[0] == images[1]
    assert apt.asked == ["download"]
    assert "another kexplore is fetching the kernel; waiting for it" in said


async def test_waiting_for_another_can_be_cancelled(apt: FakeApt, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    waits = asyncio.Event()
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = asyncio.create_task(kernel_image(SERIES_6_12, cache, lambda _: waits.set()))
        await waits.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_missing_lists_are_fetched_by_root(apt: FakeApt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    apt.forgets()
    image = await kernel_image(SERIES_6_12, tmp_path / "cache", lambda _: None)
    assert image.release == RELEASE
    assert apt.asked == ["update", "download"]


async def test_missing_lists_are_named_to_others(apt: FakeApt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    apt.forgets()
    with pytest.raises(LabError) as refused:
        await kernel_image(SERIES_6_12, tmp_path / "cache", lambda _: None)
    assert refused.value.category is Category.NOT_PERMITTED
    assert refused.value.hint == "run: sudo apt-get update"


async def test_a_version_that_vanished_is_looked_up_again(
    apt: FakeApt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    apt.knows("linux-image-6.12.8+deb12-cloud-amd64")
    image = await kernel_image(SERIES_6_12, tmp_path / "cache", lambda _: None)
    assert image.release == RELEASE
    assert apt.asked == ["download", "update", "download"]


async def test_a_system_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(packages, "SYSTEM_DIRECTORIES", "/nonexistent")
    with pytest.raises(LabError, match="no apt"):
        await kernel_image(SERIES_6_12, tmp_path, print)


@pytest.mark.parametrize("top", ["lib", "usr/lib"])
def test_modules_are_found_where_older_and_newer_packages_have_them(top: str, tmp_path: Path) -> None:
    module = tmp_path / top / "modules" / RELEASE / "kernel/fs/overlay.ko.xz"
    module.parent.mkdir(parents=True)
    module.touch()
    assert KernelImage(RELEASE, tmp_path).module("overlay") == module


def test_a_module_that_the_kernel_has_not(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no module nothing"):
        KernelImage(RELEASE, tmp_path).module("nothing")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HOME": "/home/a"}, "/home/a/.cache/kexplore/lab"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": "/var/x"}, "/var/x/kexplore/lab"),
        ({"HOME": "/home/a", "XDG_CACHE_HOME": "relative"}, "/home/a/.cache/kexplore/lab"),
    ],
)
def test_the_cache_is_where_xdg_says(environment: dict[str, str], expected: str) -> None:
    assert cache_directory(environment) == Path(expected)
