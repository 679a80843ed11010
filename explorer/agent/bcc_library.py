"""The distribution's bcc: found without an import, loaded from where it lies, and the exact cause where it cannot be.

It is pure Python over a C library and comes with the distribution; pip does not know it (the package of that name on
PyPI computes crystal lattices). It is loaded by path, so that a virtual environment or another Python than the
distribution's own can use it, and so that nothing else of the distribution's Python packages comes along.

``$KEXPLORE_BCC`` names a directory to take it from in place of all others: ``bcc`` is the package, ``lib`` the
libraries and ``lib/load-order`` their names, each behind those that it needs (``explorer/lab/bcc_files.py`` makes one).
"""

from __future__ import annotations

import ctypes
import glob
import importlib.util
import os
import re
import sys
import warnings
from types import ModuleType
from typing import Iterator, List, Mapping, Optional

from explorer.agent import bpf_requirements
from explorer.agent.bpf_requirements import BccMissing
from explorer.agent.distribution import Wanted, install_hint

_OLDEST = (0, 18)
"""Debian 11's and Ubuntu 22.04's."""
_PACKAGES = (
    "usr/lib/python3/dist-packages",  # Debian and Ubuntu, one for all their Pythons
    "usr/lib/python3.*/site-packages",
    "usr/lib64/python3.*/site-packages",
    "usr/local/lib/python3*/dist-packages",
    "usr/local/lib/python3*/site-packages",
    "usr/local/lib64/python3*/site-packages",
)
_GENUINE = ("libbcc.py", "table.py")
_LIBRARY = "libbcc.so.0"
_LIBRARIES = ("usr/lib/*", "usr/lib64", "usr/lib", "lib/*", "lib64", "lib", "usr/local/lib*", "usr/local/lib/*")


def why_not(root: str = "/", environment: Mapping[str, str] = os.environ) -> Optional[BccMissing]:
    """Why bcc cannot be used here, told from files alone; None where nothing speaks against it.

    Only ``load`` proves it: a library can be there and yet not fit.
    """
    try:
        bpf_requirements.require(root, environment)
        _find(root, environment)
    except BccMissing as missing:
        return missing
    return None


def load(root: str = "/", environment: Mapping[str, str] = os.environ) -> ModuleType:
    """Import bcc, which takes 0.3 to 2 seconds.

    Args:
        root: Where the machine's file tree begins.
        environment: Where ``KEXPLORE_BCC`` and ``BCC_KERNEL_SOURCE`` may stand.

    Raises:
        BccMissing: It cannot be used here; each cause has its own words.
    """
    bpf_requirements.require(root, environment)
    package = _find(root, environment)
    chosen = environment.get("KEXPLORE_BCC")
    try:
        for library in _load_order(chosen) if chosen else [_LIBRARY]:
            ctypes.CDLL(library, use_errno=True)
    except OSError as error:
        raise BccMissing(f"bcc's library cannot be loaded: {error}", install_hint(root, Wanted.BCC)) from None
    return _imported(package, root)


def _find(root: str, environment: Mapping[str, str]) -> str:
    """The directory of the package, looked at from outside."""
    chosen = environment.get("KEXPLORE_BCC")
    if chosen:
        package = os.path.join(chosen, "bcc")
        if not _genuine(package):
            raise BccMissing(f"KEXPLORE_BCC names {chosen}, which holds no bcc", "unset it, or name another directory")
        return package
    candidates = list(_candidates(root))
    package = next(filter(_genuine, candidates), "")
    if not package:
        # What pip installed lies in the module search path, too, and tells that somebody meant well.
        impostors = candidates + [os.path.join(place, "bcc") for place in sys.path if place]
        impostor = next(filter(_is_package, impostors), "")
        if impostor:
            raise BccMissing(
                f"{impostor} is not BPF's bcc but the crystal-lattice library of that name on PyPI",
                f"pip uninstall bcc; {install_hint(root, Wanted.BCC)}",
            )
        raise BccMissing("bcc is not installed", install_hint(root, Wanted.BCC))
    version = _version(package)
    if version is not None and version < _OLDEST:
        found, needed = (".".join(map(str, numbers)) for numbers in (version, _OLDEST))
        raise BccMissing(f"bcc {found} is too old: the bpf engine needs {needed}", "use a newer distribution's bcc")
    if not _library_installed(root):
        raise BccMissing(f"bcc is in {package}, but its library {_LIBRARY} is missing", install_hint(root, Wanted.BCC))
    return package


def _candidates(root: str) -> Iterator[str]:
    for place in _PACKAGES:
        found = glob.glob(os.path.join(root, place, "bcc"))
        yield from sorted(found, key=_numbers, reverse=True)


def _numbers(text: str) -> List[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def _genuine(package: str) -> bool:
    return all(os.path.isfile(os.path.join(package, name)) for name in _GENUINE)


def _is_package(package: str) -> bool:
    return os.path.isfile(os.path.join(package, "__init__.py"))


def _version(package: str) -> Optional[tuple[int, ...]]:
    """Major and minor number; None when its file does not say."""
    try:
        with open(os.path.join(package, "version.py"), encoding="utf-8") as file:
            match = re.search(r"(\d+)\.(\d+)", file.read())
    except OSError:
        return None
    return (int(match[1]), int(match[2])) if match else None


def _library_installed(root: str) -> bool:
    """Whether the dynamic linker would find the library."""
    try:
        with open(os.path.join(root, "etc/ld.so.cache"), "rb") as file:
            if _LIBRARY.encode() + b"\0" in file.read():
                return True
    except FileNotFoundError:
        pass  # a system without a cache (musl); the directories remain
    return any(glob.glob(os.path.join(root, place, _LIBRARY)) for place in _LIBRARIES)


def _load_order(chosen: str) -> List[str]:
    """By absolute path: each then finds the ones that it needs loaded already, whatever else is installed."""
    directory = os.path.join(chosen, "lib")
    with open(os.path.join(directory, "load-order"), encoding="utf-8") as file:
        return [os.path.join(directory, name) for name in file.read().split()]


def _imported(package: str, root: str) -> ModuleType:
    loaded = sys.modules.get("bcc")
    if loaded is not None and hasattr(loaded, "BPF"):
        return loaded
    spec = importlib.util.spec_from_file_location(
        "bcc", os.path.join(package, "__init__.py"), submodule_search_locations=[package]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bcc"] = module  # its own modules look for it there
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # younger Pythons complain of its regular expressions
            spec.loader.exec_module(module)
    except Exception as error:  # whatever it raises means the same: its Python and its library do not fit, mostly
        _forget()
        cause = f"{type(error).__name__}: {error}"
        raise BccMissing(f"{package} cannot be imported ({cause})", install_hint(root, Wanted.BCC)) from error
    if not hasattr(module, "BPF"):
        _forget()
        raise BccMissing(f"{package} is not BPF's bcc: it has no BPF", install_hint(root, Wanted.BCC))
    return module


def _forget() -> None:
    for name in [name for name in sys.modules if name == "bcc" or name.startswith("bcc.")]:
        del sys.modules[name]
