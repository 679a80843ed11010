"""The lab's kernel: Debian's own build, downloaded and unpacked into the cache, never installed.

The cache holds one directory a package, ``$XDG_CACHE_HOME/kexplore/lab/kernels/PACKAGE``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from explorer.cache import cache_root
from explorer.lab.cached_directory import locked, unfinished
from explorer.lab.errors import LabError
from explorer.lab.packages import Apt, Progress


@dataclass(frozen=True, slots=True)
class KernelSeries:
    """A line of kernels that Debian keeps under one name.

    Attributes:
        name: The version's first two numbers.
        packages: Names under which Debian's releases know the newest of the series, tried in turn.
    """

    name: str
    packages: tuple[str, ...]

    @property
    def package_pattern(self) -> re.Pattern[str]:
        """What the package that holds such a kernel is called."""
        return re.compile(rf"linux-image-(?P<release>{re.escape(self.name)}\.[\w.+-]*cloud-amd64)")


# Debian 12 offers 6.12 under its number beside its own 6.1; in Debian 13 it is the kernel without a number.
SERIES_6_12 = KernelSeries("6.12", ("linux-image-6.12-cloud-amd64", "linux-image-cloud-amd64"))
SERIES_6_1 = KernelSeries("6.1", ("linux-image-cloud-amd64",))
"""Debian 12's own: without fprobe events and BTF arguments."""
ALL_SERIES = {series.name: series for series in (SERIES_6_12, SERIES_6_1)}


@dataclass(frozen=True, slots=True)
class KernelImage:
    """A kernel in the cache.

    Attributes:
        release: What ``uname -r`` says under it.
        root: The unpacked package.
    """

    release: str
    root: Path

    @property
    def kernel(self) -> Path:
        """The compressed image to boot."""
        return self.root / "boot" / f"vmlinuz-{self.release}"

    @property
    def modules(self) -> Path:
        """The directory of its modules; newer packages have it below ``usr``."""
        places = [self.root / top / self.release for top in ("lib/modules", "usr/lib/modules")]
        return next((place for place in places if place.is_dir()), places[0])

    def module(self, name: str) -> Path:
        """The file of one of its modules.

        Raises:
            LabError: The package has no such module.
        """
        found = next(self.modules.rglob(f"{name}.ko*"), None)
        if found is None:
            raise LabError(f"the kernel {self.release} has no module {name}", f"remove {self.root} to fetch it again")
        return found


def cache_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the lab keeps what it fetched and what it found out."""
    return cache_root(environment) / "lab"


async def kernel_image(series: KernelSeries, cache: Path, progress: Progress) -> KernelImage:
    """The newest cached kernel of a series; fetched when there is none.

    Raises:
        LabError: It could not be fetched.
    """
    kernels = cache / "kernels"
    if (cached := _newest(series, kernels)) is not None:
        return cached
    kernels.mkdir(parents=True, exist_ok=True)
    async with locked(cache, "the kernel", progress):
        if (cached := _newest(series, kernels)) is not None:
            return cached
        return await _fetch(series, kernels, progress)


def _newest(series: KernelSeries, kernels: Path) -> KernelImage | None:
    found = []
    for directory in kernels.glob("linux-image-*"):
        match = series.package_pattern.fullmatch(directory.name)
        if match:
            found.append(KernelImage(match["release"], directory))
    return max(found, key=lambda image: [int(number) for number in re.findall(r"\d+", image.release)], default=None)


async def _fetch(series: KernelSeries, kernels: Path, progress: Progress) -> KernelImage:
    apt = Apt()

    async def wanted() -> list[str]:
        package = await _package(series, apt)
        return [] if package is None else [package]

    with unfinished(kernels) as unpacked:
        packages = await apt.fetch("the kernel", wanted, unpacked, progress)
        if not packages:
            raise LabError(
                f"apt knows no cloud kernel {series.name} ({' or '.join(series.packages)})",
                "the lab needs the package lists of Debian 12 (with security updates) or 13 for amd64",
            )
        (package,) = packages
        match = series.package_pattern.fullmatch(package)
        assert match is not None
        image = KernelImage(match["release"], kernels / package)
        if not (unpacked / "boot" / image.kernel.name).exists():
            raise LabError(
                f"the package {package} holds no {image.kernel.name}", "this is a fault of kexplore: report it"
            )
        unpacked.rename(image.root)
    return image


async def _package(series: KernelSeries, apt: Apt) -> str | None:
    for name in series.packages:
        if (package := await apt.dependency(name, series.package_pattern)) is not None:
            return package
    return None
