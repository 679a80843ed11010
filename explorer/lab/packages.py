"""What the lab needs from the distribution, and apt, which brings it.

Only Debian's way is known. As root, missing packages are installed after a word; otherwise they are named.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable
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
        status, output = await _run(
            *tether.command(self._cache, "depends", "--no-recommends", "--no-suggests", package)
        )
        if status != 0:
            return None
        names = re.findall(r"Depends: (\S+)", output.decode(errors="replace"))
        return next((name for name in names if pattern.fullmatch(name)), None)

    async def size(self, package: str) -> int:
        """Bytes to download."""
        output = await self._ask(self._cache, "show", "--no-all-versions", package)
        found = re.search(r"^Size: (\d+)$", output.decode(errors="replace"), re.MULTILINE)
        if found is None:
            raise LabError(f"apt-cache does not know the size of {package}", "run: sudo apt-get update")
        return int(found.group(1))

    async def unpack(self, package: str, directory: Path) -> None:
        """Download a package and unpack its files into a directory.

        Raises:
            LabError: The download or the unpacking failed.
        """
        # As root apt would become the user _apt, which may not write into a private cache directory.
        await self._ask(self._get, "-o", "APT::Sandbox::User=root", "download", package, cwd=directory)
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
