"""bcc for the guest: Debian's package and every library it needs, unpacked into the cache, never installed.

Nothing of it is taken from this machine, where another version of a library may be installed, or none. In the guest the
agent finds it through ``$KEXPLORE_BCC`` (``explorer/agent/bcc_package.py``). The directory holds:

* ``bcc``: the Python package.
* ``lib``: the shared libraries, by the names under which they look for each other.
* ``lib/load-order``: those names, a line each, each behind the libraries that it needs.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection, DynamicTag
from elftools.elf.elffile import ELFFile

from explorer.lab.cached_directory import made_once
from explorer.lab.errors import LabError
from explorer.lab.packages import Apt, Progress

_PACKAGE = "python3-bpfcc"
# Not the C library, which the guest's Python has loaded already; there can be one only.
_LIBRARY_PACKAGES = re.compile(r"(?!libc6$)(lib.*|zlib1g)")
_PYTHON_PACKAGE = "usr/lib/python3/dist-packages/bcc"
_LIBRARY = re.compile(r"libbcc\.so\.\d+")


async def bcc_files(cache: Path, progress: Progress) -> Path:
    """The directory described above; fetched when it is not in the cache.

    Raises:
        LabError: It could not be fetched.
    """

    async def fill(directory: Path) -> None:
        apt = Apt()
        unpacked = directory / "unpacked"
        unpacked.mkdir()
        packages = await apt.fetch(
            "bcc", lambda: apt.with_dependencies(_PACKAGE, _LIBRARY_PACKAGES), unpacked, progress
        )
        if not packages:
            raise LabError(f"apt knows no {_PACKAGE}", "the bpf engine needs it in the lab: run sudo apt-get update")
        _arrange(unpacked, directory)
        shutil.rmtree(unpacked)

    return await made_once(cache / "bcc", cache, "bcc", progress, fill)


def _arrange(unpacked: Path, directory: Path) -> None:
    """Move what bcc needs out of the unpacked packages, to where it is found without a search."""
    python_package = unpacked / _PYTHON_PACKAGE
    order = _load_order(_libraries(unpacked))
    if not python_package.is_dir() or not order:
        raise LabError(
            f"the package {_PACKAGE} and its libraries hold no bcc", "this is a fault of kexplore: report it"
        )
    python_package.rename(directory / "bcc")
    (directory / "lib").mkdir()
    for name, path in order.items():
        path.rename(directory / "lib" / name)
    (directory / "lib/load-order").write_text("".join(f"{name}\n" for name in order))


def _libraries(unpacked: Path) -> dict[str, tuple[Path, list[str]]]:
    """Each library by its own name, with the names of those that it needs."""
    found: dict[str, tuple[Path, list[str]]] = {}
    for path in unpacked.rglob("*.so*"):
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            try:
                section = ELFFile(file).get_section_by_name(".dynamic")
            except ELFError:
                continue  # a linker script, or the debugger's Python beside libstdc++
            tags = list(section.iter_tags()) if isinstance(section, DynamicSection) else []
        own_names = [_name(tag) for tag in tags if tag.entry.d_tag == "DT_SONAME"]
        needed = [_name(tag) for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
        found.update((name, (path, needed)) for name in own_names)
    return found


def _name(tag: DynamicTag) -> str:
    """Of another library, or the library's own; pyelftools gives it as an attribute called after the kind of tag."""
    return str(getattr(tag, tag.entry.d_tag.removeprefix("DT_").lower()))


def _load_order(libraries: dict[str, tuple[Path, list[str]]]) -> dict[str, Path]:
    """The file of libbcc by its name, behind those of all that it needs; what is missing here is the C library's."""
    order: dict[str, Path] = {}
    visited = set()

    def add(name: str) -> None:
        if name in libraries and name not in visited:
            visited.add(name)
            path, needed = libraries[name]
            for other in needed:
                add(other)
            order[name] = path

    for name in libraries:
        if _LIBRARY.fullmatch(name):
            add(name)
    return order
