"""Finding the distribution's bcc, and the exact cause where it cannot be used; each on a tree that lacks one thing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from explorer.agent import bcc_library, bcc_package
from explorer.agent.bpf_requirements import BccMissing

RELEASE = os.uname().release
PACKAGE = "usr/lib/python3/dist-packages/bcc"
HEADERS = f"lib/modules/{RELEASE}/build/include/linux/kconfig.h"
INSTALL = "sudo apt-get install python3-bpfcc"


def put(root: Path, name: str, text: str = "") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def put_package(package: Path, version: str = "0.26.0+ds-1", code: str = "class BPF: pass\n") -> None:
    put(package, "__init__.py", f"from .libbcc import lib\nfrom .version import __version__\n{code}")
    put(package, "libbcc.py", "lib = 'a library'\n")
    put(package, "table.py")
    put(package, "version.py", f"__version__ = '{version}'\n")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which bcc can be used."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv/bin/python"))
    put(tmp_path, "etc/os-release", 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n')
    put(tmp_path, "etc/ld.so.cache", "glibc-ld.so.cache1.1\0libbcc.so.0\0/usr/lib/x86_64-linux-gnu/libbcc.so.0\0")
    put(tmp_path, "proc/sys/kernel/unprivileged_bpf_disabled", "2\n")
    put(tmp_path, "sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    put(tmp_path, HEADERS)
    put_package(tmp_path / PACKAGE)
    return tmp_path


@pytest.fixture
def _forgotten() -> Iterator[None]:
    """What a test imports under bcc's name is gone after it."""
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "bcc"]:
        del sys.modules[name]


def told(root: Path, **environment: str) -> tuple[str, str]:
    missing = bcc_package.why_not(str(root), environment)
    assert missing is not None
    return missing.message.replace(str(root), ""), missing.hint.replace(str(root), "")


def test_nothing_speaks_against_it(root: Path) -> None:
    assert bcc_package.why_not(str(root), {}) is None
    assert bcc_package.find(str(root), {}) == str(root / PACKAGE)


def test_the_newest_python_s_is_taken(root: Path) -> None:
    shutil.rmtree(root / PACKAGE)
    for version in ("3.9", "3.12"):
        put_package(root / f"usr/lib/python{version}/site-packages/bcc")
    assert bcc_package.find(str(root), {}) == str(root / "usr/lib/python3.12/site-packages/bcc")


def remove_package_and_headers(root: Path) -> None:
    shutil.rmtree(root / PACKAGE)
    (root / HEADERS).unlink()


def remove_library(root: Path) -> None:
    put(root, "etc/ld.so.cache", "libbcc_bpf.so.0\0")


def pip_in_the_environment(root: Path) -> None:
    shutil.rmtree(root / PACKAGE)
    put(root, "venv/lib/python3.11/site-packages/bcc/__init__.py")


def pip_in_the_system(root: Path) -> None:
    shutil.rmtree(root / PACKAGE)
    put(root, "usr/local/lib/python3.11/dist-packages/bcc/__init__.py")


def dangling_link_to_headers(root: Path) -> None:
    shutil.rmtree(root / f"lib/modules/{RELEASE}/build")
    (root / f"lib/modules/{RELEASE}/build").symlink_to("/nonexistent")


@pytest.mark.parametrize(
    ("lack", "message", "hint"),
    [
        (lambda root: shutil.rmtree(root / PACKAGE), "bcc is not installed", INSTALL),
        (remove_package_and_headers, "bcc is not installed",
         f"{INSTALL} linux-headers-{RELEASE}"),
        (pip_in_the_environment,
         "/venv/lib/python3.11/site-packages/bcc is not BPF's bcc but the crystal-lattice library of that name on PyPI",
         f"pip uninstall bcc, then {INSTALL}"),
        (pip_in_the_system,
         "/usr/local/lib/python3.11/dist-packages/bcc is not BPF's bcc but the crystal-lattice library of that name on"
         " PyPI", f"pip uninstall bcc, then {INSTALL}"),
        (lambda root: put_package(root / PACKAGE, "0.12.0"), "bcc 0.12 is too old: the bpf engine needs 0.18",
         "a newer release of the distribution has it"),
        (remove_library, f"bcc is in /{PACKAGE}, but its library libbcc.so.0 is missing", INSTALL),
        (dangling_link_to_headers, f"the headers of the kernel {RELEASE} are missing",
         f"sudo apt-get install linux-headers-{RELEASE}"),
        (lambda root: put(root, "sys/kernel/security/lockdown", "none integrity [confidentiality]\n"),
         "this kernel is locked down (confidentiality): BPF may not read its memory",
         "lockdown comes with Secure Boot or the kernel option lockdown=, and cannot be lifted while it runs"),
        (lambda root: (root / "proc/sys/kernel/unprivileged_bpf_disabled").unlink(),
         "this kernel was built without CONFIG_BPF_SYSCALL", "kexplore --lab has a kernel with it"),
    ],
)  # fmt: skip
def test_each_cause_has_its_words(root: Path, lack: Callable[[Path], object], message: str, hint: str) -> None:
    lack(root)
    assert told(root) == (message, hint)
    with pytest.raises(BccMissing) as refused:
        bcc_library.load(str(root), {})
    assert refused.value.message.replace(str(root), "") == message


@pytest.mark.parametrize(
    "place", ["sys/kernel/kheaders.tar.xz", f"lib/modules/{RELEASE}/kernel/kernel/kheaders.ko.zst"]
)
def test_headers_that_the_kernel_carries_will_do(root: Path, place: str) -> None:
    dangling_link_to_headers(root)
    put(root, place)
    assert bcc_package.why_not(str(root), {}) is None


def test_headers_by_bcc_s_own_variable(root: Path) -> None:
    dangling_link_to_headers(root)
    put(root, "elsewhere/include/linux/kconfig.h")
    assert bcc_package.why_not(str(root), {"BCC_KERNEL_SOURCE": str(root / "elsewhere")}) is None
    assert told(root, BCC_KERNEL_SOURCE=str(root / "nowhere")) == (
        "BCC_KERNEL_SOURCE names /nowhere, which holds no kernel headers",
        "unset it",
    )


def test_a_library_that_the_linker_has_not_yet_noticed(root: Path) -> None:
    remove_library(root)
    put(root, "usr/lib/x86_64-linux-gnu/libbcc.so.0")
    assert bcc_package.why_not(str(root), {}) is None


@pytest.mark.parametrize(
    ("release", "hint"),
    [
        ("ID=ubuntu\nID_LIKE=debian\n", f"sudo apt-get install python3-bpfcc linux-headers-{RELEASE}"),
        ("ID=linuxmint\nID_LIKE='ubuntu debian'\n", f"sudo apt-get install python3-bpfcc linux-headers-{RELEASE}"),
        ("ID=fedora\n", f"sudo dnf install python3-bcc kernel-devel-{RELEASE}"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', f"sudo dnf install python3-bcc kernel-devel-{RELEASE}"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "sudo zypper install python3-bcc kernel-default-devel"),
        ("ID=arch\n", "sudo pacman -S python-bcc linux-headers"),
        ("ID=void\n",
         "install from your distribution: bcc with its Python package and the headers of the running kernel"),
    ],
)  # fmt: skip
def test_the_command_that_installs_it(root: Path, release: str, hint: str) -> None:
    remove_package_and_headers(root)
    put(root, "etc/os-release", release)
    assert told(root) == ("bcc is not installed", hint)


def make_library(directory: Path, name: str, code: str, *needs: str) -> None:
    """A shared library that finds what it needs only when that has been loaded before."""
    directory.mkdir(parents=True, exist_ok=True)
    arguments = ["gcc", "-shared", "-o", str(directory / name), f"-Wl,-soname,{name}", "-x", "c", "-", "-x", "none"]
    needed = [str(directory / other) for other in needs]
    subprocess.run([*arguments, *needed], input=code, text=True, check=True)


@pytest.fixture
def chosen(root: Path) -> Path:
    """What $KEXPLORE_BCC names."""
    directory = root / "chosen"
    make_library(directory / "lib", "libkx_llvm.so.1", "int llvm(void) { return 42; }")
    make_library(directory / "lib", "libkx_bcc.so.0", "int llvm(void); int answer(void) { return llvm(); }",
                 "libkx_llvm.so.1")  # fmt: skip
    put(directory, "lib/load-order", "libkx_llvm.so.1\nlibkx_bcc.so.0\n")
    load = "import ctypes, warnings\nlib = ctypes.CDLL('libkx_bcc.so.0')\nwarnings.warn('never mind', SyntaxWarning)\n"
    put_package(directory / "bcc")
    put(directory, "bcc/libbcc.py", load)
    return directory


@pytest.mark.usefixtures("_forgotten")
def test_what_the_variable_names_is_loaded_and_nothing_else(root: Path, chosen: Path) -> None:
    before = list(sys.path)
    module = bcc_library.load(str(root), {"KEXPLORE_BCC": str(chosen)})
    assert module.lib.answer() == 42
    assert module.__file__ == str(chosen / "bcc/__init__.py")
    assert hasattr(module, "BPF")
    assert sys.path == before
    assert bcc_library.load(str(root), {"KEXPLORE_BCC": str(chosen)}) is module


def test_a_library_that_cannot_be_loaded(root: Path, chosen: Path) -> None:
    put(chosen, "lib/libkx_llvm.so.1", "no library")
    with pytest.raises(BccMissing, match=r"bcc's library cannot be loaded: .*file too short"):
        bcc_library.load(str(root), {"KEXPLORE_BCC": str(chosen)})


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("lib.bcc_func_new\n", "AttributeError: 'str' object has no attribute 'bcc_func_new'"),
        ("", "ImportError: it has no BPF"),
    ],
)
@pytest.mark.usefixtures("_forgotten")
def test_a_package_that_cannot_be_imported(root: Path, chosen: Path, code: str, cause: str) -> None:
    put_package(chosen / "bcc", code=code)
    with pytest.raises(BccMissing) as refused:
        bcc_library.load(str(root), {"KEXPLORE_BCC": str(chosen)})
    assert refused.value.message == f"{chosen}/bcc cannot be imported: {cause}"
    assert [name for name in sys.modules if name.partition(".")[0] == "bcc"] == []


def test_the_variable_names_nothing(root: Path) -> None:
    assert told(root, KEXPLORE_BCC=str(root)) == (
        "KEXPLORE_BCC names , which holds no bcc",
        "unset it, or name another directory",
    )
