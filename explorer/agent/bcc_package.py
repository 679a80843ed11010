"""Where the distribution's bcc is, and whether anything speaks against using it, told from files alone.

It is pure Python over a C library and comes with the distribution; pip does not know it (the package of that name on
PyPI computes crystal lattices). ``$KEXPLORE_BCC`` names a directory to take it from in place of all others: ``bcc`` is
the package, ``lib`` the libraries and ``lib/load-order`` their names, each behind those that it needs
(``explorer/lab/bcc_files.py`` makes one).

Nothing is imported here: that takes 0.3 to 2 seconds, and is left to ``bcc_library``.
"""

from __future__ import annotations

import glob
import os
import re
import sys
from typing import Iterator, List, Mapping, Optional

from explorer.agent import bpf_requirements
from explorer.agent.bpf_requirements import BccMissing
from explorer.agent.distribution import Wanted, install_hint

LIBRARY = "libbcc.so.0"
_OLDEST = (0, 18)
"""Debian 11's and Ubuntu 22.04's."""
_PLACES = (
    "usr/lib/python3/dist-packages",  # Debian and Ubuntu, one for all their Pythons
    "usr/lib/python3.*/site-packages",
    "usr/lib64/python3.*/site-packages",
    "usr/local/lib/python3*/dist-packages",
    "usr/local/lib/python3*/site-packages",
    "usr/local/lib64/python3*/site-packages",
)
_GENUINE = ("libbcc.py", "table.py")
_LIBRARY_PLACES = ("usr/lib/*", "usr/lib64", "usr/lib", "lib/*", "lib64", "lib", "usr/local/lib*", "usr/local/lib/*")


def why_not(root: str = "/", environment: Mapping[str, str] = os.environ) -> Optional[BccMissing]:
    """Why bcc cannot be used here; None where nothing speaks against it, which only an attempt proves.

    Args:
        root: Where the machine's file tree begins.
        environment: Where ``KEXPLORE_BCC`` and ``BCC_KERNEL_SOURCE`` may stand.
    """
    try:
        find(root, environment)
    except BccMissing as missing:
        return missing
    return None


def find(root: str = "/", environment: Mapping[str, str] = os.environ) -> str:
    """The directory of the package, on a kernel that can use it.

    Raises:
        BccMissing: There is none, or something that it needs is missing; each cause has its own words.
    """
    bpf_requirements.require_kernel(root)
    chosen = environment.get("KEXPLORE_BCC")
    package = _chosen(chosen) if chosen else _installed(root, environment)
    bpf_requirements.require_headers(root, environment)
    return package


def _chosen(directory: str) -> str:
    package = os.path.join(directory, "bcc")
    if not _genuine(package):
        raise BccMissing(f"KEXPLORE_BCC names {directory}, which holds no bcc", "unset it, or name another directory")
    return package


def _installed(root: str, environment: Mapping[str, str]) -> str:
    headers = [] if bpf_requirements.headers_found(root, environment) else [Wanted.HEADERS]
    hint = install_hint(root, Wanted.BCC, *headers)
    candidates = list(_candidates(root))
    package = next(filter(_genuine, candidates), None)
    if package is None:
        impostor = next(filter(_is_package, [*candidates, *_by_pip()]), None)
        if impostor is None:
            raise BccMissing("bcc is not installed", hint)
        raise BccMissing(
            f"{impostor} is not BPF's bcc but the crystal-lattice library of that name on PyPI",
            f"pip uninstall bcc, then {hint}",
        )
    version = _version(package)
    if version is not None and version < _OLDEST:
        found, needed = (".".join(map(str, numbers)) for numbers in (version, _OLDEST))
        raise BccMissing(
            f"bcc {found} is too old: the bpf engine needs {needed}", "a newer release of the distribution has it"
        )
    if not _library_installed(root):
        raise BccMissing(f"bcc is in {package}, but its library {LIBRARY} is missing", hint)
    return package


def _candidates(root: str) -> Iterator[str]:
    for place in _PLACES:
        found = glob.glob(os.path.join(root, place, "bcc"))
        yield from sorted(found, key=_numbers, reverse=True)


def _numbers(path: str) -> List[int]:
    return [int(number) for number in re.findall(r"\d+", path)]


def _by_pip() -> Iterator[str]:
    """Beside this Python: there the module search path does not lead, because the agent is isolated."""
    prefix = os.path.dirname(os.path.dirname(sys.executable))
    yield from glob.glob(os.path.join(prefix, "lib/python3*/site-packages/bcc"))


def _genuine(package: str) -> bool:
    return all(os.path.isfile(os.path.join(package, name)) for name in _GENUINE)


def _is_package(package: str) -> bool:
    return os.path.isfile(os.path.join(package, "__init__.py"))


def _version(package: str) -> Optional[tuple[int, int]]:
    """Major and minor number; None when its file does not say."""
    try:
        with open(os.path.join(package, "version.py"), encoding="utf-8") as file:
            match = re.search(r"(\d+)\.(\d+)", file.read())
    except FileNotFoundError:
        return None
    return (int(match[1]), int(match[2])) if match else None


def _library_installed(root: str) -> bool:
    """Whether the dynamic linker would find it."""
    try:
        with open(os.path.join(root, "etc/ld.so.cache"), "rb") as file:
            if LIBRARY.encode() + b"\0" in file.read():
                return True
    except FileNotFoundError:
        pass  # there need not be a cache; the directories remain
    return any(glob.glob(os.path.join(root, place, LIBRARY)) for place in _LIBRARY_PLACES)
