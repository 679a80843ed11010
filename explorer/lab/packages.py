"""What the lab needs from the distribution, and apt, which brings it.

Only Debian's way is known. As root, missing packages are installed after a word; otherwise they are named.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from explorer.lab import tether
from explorer.lab.errors import LabError
from symbols.errors import Category

Progress = Callable[[str], None]

QEMU = "qemu-system-x86_64"
SYSTEM_DIRECTORIES = "/usr/sbin:/sbin:/usr/bin:/bin"
# Where distributions keep it; none of these directories is in PATH. The last has the older one, in C (until QEMU 7.2).
VIRTIOFSD_PATHS = ("/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "/usr/lib/qemu/virtiofsd")


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs that make up the lab, as absolute paths."""

    qemu: Path
    virtiofsd: Path


def _find(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":" + SYSTEM_DIRECTORIES)


def _installed(root: Path) -> tuple[Path | None, Path | None]:
    qemu = _find(QEMU)
    candidates = (root / path.lstrip("/") for path in VIRTIOFSD_PATHS)
    virtiofsd = next((path for path in candidates if os.access(path, os.X_OK)), None)
    return (Path(qemu) if qemu else None), virtiofsd


async def programs(progress: Progress, root: Path = Path("/")) -> Programs:
    """Find the lab's programs, installing what is missing when this is root.

    Raises:
        LabError: Something is missing and cannot be installed from here; the hint is the command that does.
    """
    qemu, virtiofsd = _installed(root)
    if qemu is None:
        await install(["qemu-system-x86"], progress)
        qemu, virtiofsd = _installed(root)
    if virtiofsd is None:  # Debian 12 has it in a package that QEMU's depends on, later ones in its own
        await install(["virtiofsd"], progress)
        qemu, virtiofsd = _installed(root)
    if qemu is None or virtiofsd is None:
        missing = QEMU if qemu is None else "virtiofsd"
        raise LabError(f"{missing} is still missing after its package was installed", "is PATH complete?")
    return Programs(qemu, virtiofsd)


async def install(packages: list[str], progress: Progress) -> None:
    """Install packages as root; otherwise say how."""
    names = " ".join(packages)
    hint = f"install it: sudo apt-get install --no-install-recommends {names}"
    apt_get = _find("apt-get")
    if apt_get is None:
        raise LabError(f"the lab needs {names}, and this system has no apt to get it", "install QEMU and virtiofsd")
    if os.geteuid() != 0:
        raise LabError(f"the lab needs {names}", hint, Category.NOT_PERMITTED)
    progress(f"installing {names} (apt-get)")
    arguments = (apt_get, "install", "--yes", "--no-install-recommends", *packages)
    # Not tethered: a dpkg killed half way would leave the machine's package data broken.
    status, output = await _run(*arguments)
    if status != 0:
        progress("refreshing apt's package lists")
        await _run(apt_get, "update")
        status, output = await _run(*arguments)
    if status != 0:
        raise LabError(f"apt-get could not install {names}: {_last_line(output)}", hint)


class Apt:
    """Asks apt for packages that are downloaded and unpacked, never installed."""

    def __init__(self) -> None:
        found = [_find(name) for name in ("apt-get", "apt-cache", "dpkg-deb")]
        if None in found:
            raise LabError(
                "the lab's kernel is a Debian package, and this system has no apt to fetch it",
                "run the lab on Debian, or in a Debian container",
            )
        self._get, self._cache, self._deb = (str(path) for path in found)

    async def update(self) -> None:
        """Refresh the package lists; only root may.

        Raises:
            LabError: apt failed, or this is not root.
        """
        if os.geteuid() != 0:
            raise LabError("apt's package lists are missing or old", "run: sudo apt-get update", Category.NOT_PERMITTED)
        await self._ask(self._get, "update")

    async def dependency(self, package: str, pattern: re.Pattern[str]) -> str | None:
        """The first dependency of a package whose name matches; None when apt knows no such package or dependency."""
        names = (await self._dependencies(package)).get(package, [])
        return next((name for name in names if pattern.fullmatch(name)), None)

    async def with_dependencies(self, package: str, pattern: re.Pattern[str]) -> list[str]:
        """A package and those it needs, in any number of steps, whose names match; empty when apt does not know it."""
        known = await self._dependencies(package, "--recurse")
        found = [package] if package in known else []
        for name in found:  # which grows on the way
            matching = (other for other in dict.fromkeys(known.get(name, [])) if pattern.fullmatch(other))
            found += [other for other in matching if other not in found]
        return found

    async def _dependencies(self, package: str, *options: str) -> dict[str, list[str]]:
        """What each package named in apt's answer depends on; empty when apt does not know the one asked for."""
        unwanted = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
        chosen = [f"--no-{kind}" for kind in unwanted]
        status, output = await _run(*tether.command(self._cache, "depends", *chosen, *options, package))
        if status != 0:
            return {}
        found: dict[str, list[str]] = {}
        names: list[str] = []
        for line in output.decode(errors="replace").splitlines():
            if not line.startswith((" ", "|")):
                names = found.setdefault(line, [])
            elif match := re.search(r"Depends: (\S+)", line):
                names.append(match[1])
        return found

    async def fetch(
        self, what: str, wanted: Callable[[], Awaitable[list[str]]], directory: Path, progress: Progress
    ) -> list[str]:
        """Download packages and unpack them into a directory; package lists that are missing or old are refreshed.

        Args:
            what: What the packages are, in words.
            wanted: Asks apt for their names; empty when it does not know them.
            directory: Where their files go.
            progress: Takes a line about what is being done.

        Returns:
            The packages unpacked; empty when apt does not know them.

        Raises:
            LabError: The download or the unpacking failed.
        """
        packages = await wanted()
        if not packages:
            progress("refreshing apt's package lists")
            await self.update()
            packages = await wanted()
        if not packages:
            return []
        progress(f"fetching {what} ({await self.size(packages) / 1e6:.0f} MB)")
        try:
            await self.unpack(packages, directory)
        except LabError:
            # Versions that a security update replaced vanish from the servers before our lists know.
            progress("that version has vanished; refreshing apt's package lists")
            await self.update()
            packages = await wanted() or packages
            await self.unpack(packages, directory)
        return packages

    async def size(self, packages: Sequence[str]) -> int:
        """Bytes to download."""
        output = await self._ask(self._cache, "show", "--no-all-versions", *packages)
        found = re.findall(r"^Size: (\d+)$", output.decode(errors="replace"), re.MULTILINE)
        if not found:
            raise LabError(f"apt-cache does not know the size of {packages[0]}", "run: sudo apt-get update")
        return sum(map(int, found))

    async def unpack(self, packages: Sequence[str], directory: Path) -> None:
        """Download packages and unpack their files into a directory.

        Raises:
            LabError: The download or the unpacking failed.
        """
        # As root apt would become the user _apt, which may not write into a private cache directory.
        await self._ask(self._get, "-o", "APT::Sandbox::User=root", "download", *packages, cwd=directory)
        for archive in directory.glob("*.deb"):
            await self._ask(self._deb, "--extract", str(archive), str(directory))
            archive.unlink()

    async def _ask(self, program: str, *arguments: str, cwd: Path | None = None) -> bytes:
        status, output = await _run(*tether.command(program, *arguments), cwd=cwd)
        if status != 0:
            name = os.path.basename(program)
            raise LabError(f"{name} {arguments[0]} failed: {_last_line(output)}", "is the network reachable?")
        return output


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


async def _run(*command: str, cwd: Path | None = None) -> tuple[int, bytes]:
    """Run a program to its end; its exit code, and stdout and stderr together."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        start_new_session=True,  # a Ctrl-C is for us to pass on
    )
    try:
        output, _ = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, output
