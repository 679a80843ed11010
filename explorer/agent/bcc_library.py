"""Imports the distribution's bcc from where it lies.

By path, so that a virtual environment or another Python than the distribution's own can use it, and so that none of the
distribution's other Python packages comes along.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import warnings
from types import ModuleType
from typing import List, Mapping

from explorer.agent import bcc_package
from explorer.agent.bpf_requirements import BccMissing
from explorer.agent.distribution import Wanted, install_hint


def load(root: str = "/", environment: Mapping[str, str] = os.environ) -> ModuleType:
    """Import bcc, which takes 0.3 to 2 seconds; the second time it is there.

    Args:
        root: Where the machine's file tree begins.
        environment: Where ``KEXPLORE_BCC`` and ``BCC_KERNEL_SOURCE`` may stand.

    Raises:
        BccMissing: It cannot be used here; each cause has its own words.
    """
    loaded = sys.modules.get("bcc")
    if loaded is not None and hasattr(loaded, "BPF"):
        return loaded
    package = bcc_package.find(root, environment)
    chosen = environment.get("KEXPLORE_BCC")
    hint = "name another directory" if chosen else install_hint(root, Wanted.BCC)
    try:
        for library in _load_order(chosen) if chosen else [bcc_package.LIBRARY]:
            ctypes.CDLL(library, use_errno=True)
    except OSError as error:
        raise BccMissing(f"bcc's library cannot be loaded: {error}", hint) from error
    return _imported(package, hint)


def _load_order(chosen: str) -> List[str]:
    """By absolute path: each then finds the ones that it needs loaded already, whatever else is installed."""
    directory = os.path.join(chosen, "lib")
    with open(os.path.join(directory, "load-order"), encoding="utf-8") as file:
        return [os.path.join(directory, name) for name in file.read().split()]


def _imported(package: str, hint: str) -> ModuleType:
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
        if not hasattr(module, "BPF"):
            raise ImportError("it has no BPF")
    except Exception as error:  # whatever it raises means the same: mostly that it and its library do not fit
        for name in [name for name in sys.modules if name == "bcc" or name.startswith("bcc.")]:
            del sys.modules[name]
        raise BccMissing(f"{package} cannot be imported: {type(error).__name__}: {error}", hint) from error
    return module
