"""Finding the debug information of a kernel on this machine, where distributions put it, and opening it.

Only a file with the build id of the running kernel is taken: with any other every address would be wrong.
"""

from __future__ import annotations

import dataclasses
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from symbols.dwarf.errors import DebugInfoError
from symbols.dwarf.image import Image

_ROOMY = "/var/tmp"
"""On a disk, where /tmp may be in memory."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """Whose debug information is looked for.

    Attributes:
        release: Of the kernel, as ``uname -r`` prints it.
        build_id: Of the kernel or module, as hexadecimal digits.
        module: None for the kernel itself.
    """

    release: str
    build_id: str
    module: str | None = None

    @property
    def title(self) -> str:
        """In words."""
        return f"the module {self.module}" if self.module else f"the kernel {self.release}"


def find(wanted: Wanted, given: Path | None, root: Path = Path("/")) -> tuple[Path, Image]:
    """The file with the debug information of a kernel or module.

    Args:
        wanted: Whose.
        given: A file, or a directory to look into in place of ``root``'s usual places.
        root: Where the file tree begins.

    Raises:
        DebugInfoError: There is none; the message names what was found and why it is not the one.
    """
    refused: list[str] = []
    hint = ""
    for path in _given(wanted, given) if given is not None else places(wanted, root):
        try:
            return path, open_image(path, wanted.build_id)
        except FileNotFoundError:
            continue
        except OSError as error:
            refused.append(f"{path}: {error.strerror}")
        except DebugInfoError as error:
            refused.append(f"{path}: {error.message}")
            hint = hint or error.hint
    if refused:
        raise DebugInfoError(f"no debug information of {wanted.title}: {'; '.join(refused)}", hint or _HINT)
    if given is not None:
        raise DebugInfoError(f"no debug information of {wanted.title} in {given}", _HINT)
    raise DebugInfoError(
        f"no debug information of {wanted.title} is installed here", package_hint(wanted.release, root)
    )


def open_image(path: Path, build_id: str) -> Image:
    """Open a file and see whether it is the right one.

    Raises:
        OSError: It cannot be read.
        DebugInfoError: It has another build id, no debug information, or cannot be understood.
    """
    with path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise DebugInfoError("it is empty") from None
    image = Image(data, scratch)
    if image.build_id != build_id:
        is_of = f"has the build id {image.build_id[:12]}…" if image.build_id else "has no build id"
        raise DebugInfoError(f"it {is_of}, where {build_id[:12]}… is running")
    if not image.has_dwarf:
        raise DebugInfoError("it holds no debug information")
    return image


def scratch(size: int) -> mmap.mmap:
    """Room for an unpacked section: in a file without a name, so that it need not stay in memory."""
    with tempfile.TemporaryFile(dir=_ROOMY if os.access(_ROOMY, os.W_OK) else None) as file:
        file.truncate(size)
        return mmap.mmap(file.fileno(), size)


def places(wanted: Wanted, root: Path) -> Iterator[Path]:
    """Where distributions put debug information, those named by the build id first."""
    debug = root / "usr/lib/debug"
    yield debug / ".build-id" / wanted.build_id[:2] / f"{wanted.build_id[2:]}.debug"
    release = wanted.release
    trees = [debug / "lib/modules" / release, debug / "usr/lib/modules" / release, root / "lib/modules" / release]
    if wanted.module is None:
        yield debug / "boot" / f"vmlinux-{release}"
        yield debug / "boot" / f"vmlinux-{release}.debug"
        for tree in trees[:2]:
            yield tree / "vmlinux"
            yield tree / "vmlinux.debug"
        yield root / "boot" / f"vmlinux-{release}"
        yield trees[2] / "build/vmlinux"
        yield trees[2] / "vmlinux"
        return
    for tree in trees:
        yield from _module_files(tree, wanted.module)


def package_hint(release: str, root: Path = Path("/")) -> str:
    """How to get the debug information of a kernel."""
    try:
        system = (root / "etc/os-release").read_text()
    except OSError:
        system = ""
    words = {line.partition("=")[2].strip('"') for line in system.splitlines() if line.startswith(("ID=", "ID_LIKE="))}
    families = {word for line in words for word in line.split()}
    if "ubuntu" in families:
        return f"apt install linux-image-{release}-dbgsym (from ddebs.ubuntu.com), or give a file by --debuginfo"
    if "debian" in families:
        return f"apt install linux-image-{release}-dbg, or give a file by --debuginfo"
    if families & {"fedora", "rhel", "centos"}:
        return f"dnf debuginfo-install kernel-{release}, or give a file by --debuginfo"
    return _HINT


_HINT = "install the kernel's debug package, or give a file by --debuginfo"


def _given(wanted: Wanted, given: Path) -> Iterator[Path]:
    if not given.is_dir():
        if wanted.module is None:
            yield given
        else:  # beside a kernel's file lie those of its modules, if anywhere
            yield from _module_files(given.parent, wanted.module)
            yield from places(wanted, Path("/"))
    elif wanted.module is None:
        yield given / ".build-id" / wanted.build_id[:2] / f"{wanted.build_id[2:]}.debug"
        for name in (f"vmlinux-{wanted.release}", "vmlinux", "vmlinux.debug"):
            yield given / name
            yield given / "boot" / name
    else:
        yield from _module_files(given, wanted.module)


def _module_files(tree: Path, module: str) -> Iterator[Path]:
    """The files of a module under a directory; in a file's name ``-`` may stand for ``_``."""
    pattern = module.replace("-", "_").replace("_", "[-_]")
    for ending in (".ko.debug", ".ko", ".debug"):
        yield from sorted(tree.rglob(f"{pattern}{ending}"))
