"""bcc and the kernel's headers for the lab's guest, fetched into the cache by an apt of scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from explorer.lab.bcc_files import bcc_files
from explorer.lab.errors import LabError
from explorer.lab.kernel_headers import kernel_headers
from explorer.lab.kernel_image import KernelImage

RELEASE = "6.12.9+deb12-cloud-amd64"

APT_CACHE = """#!/bin/sh
for name; do :; done
case "$1 $name" in
*" python3-bpfcc") cat << END
python3-bpfcc
  Depends: libbpfcc
  Depends: <python3:any>
    python3
libbpfcc
  Depends: libc6
 |Depends: libllvm14
  Depends: zlib1g
python3
  Depends: libpython3-stdlib
libpython3-stdlib
libllvm14
  Depends: libc6
  Depends: libedit2
libedit2
zlib1g
libc6
  Depends: libgcc-s1
libgcc-s1
END
;;
"depends linux-headers-6.12.9+deb12-cloud-amd64") cat << END
$name
  Depends: linux-headers-6.12.9+deb12-common
  Depends: linux-kbuild-6.12.9+deb12
linux-headers-6.12.9+deb12-common
linux-kbuild-6.12.9+deb12
  Depends: libelf1
END
;;
show*) shift 2; for name; do echo "Package: $name"; echo "Size: 2000000"; done;;
*) exit 100;;
esac
"""
APT_GET = """#!/bin/sh
[ "$1" = update ] && exit
shift 3
echo "$@" > $STATE/downloaded
for name; do touch "$name.deb"; done
"""
DPKG_DEB = """#!/bin/sh
package=$(basename "$2" .deb)
[ ! -e "$STATE/packages/$package" ] || cp -a "$STATE/packages/$package/." "$3"
"""


def put(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the packages of an apt of scripts contain, a directory each."""
    programs = tmp_path / "bin"
    for name, text in (("apt-cache", APT_CACHE), ("apt-get", APT_GET), ("dpkg-deb", DPKG_DEB)):
        put(programs / name, text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("STATE", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "packages").mkdir()
    return tmp_path / "packages"


def put_library(directory: Path, name: str, *needs: Path) -> Path:
    """A shared library under its full version, and the link by which others know it."""
    directory.mkdir(parents=True, exist_ok=True)
    made = directory / f"{name}.2.3"
    arguments = ["gcc", "-shared", "-nostdlib", "-Wl,--no-as-needed", f"-Wl,-soname,{name}", "-o", str(made)]
    arguments += ["-x", "c", "/dev/null", "-x", "none"]
    subprocess.run([*arguments, *map(str, needs)], check=True)
    (directory / name).symlink_to(made.name)
    return made


@pytest.fixture
def bcc(packages: Path) -> None:
    """Packages of bcc, whose libraries need each other otherwise than by their names' order."""
    libraries = "usr/lib/x86_64-linux-gnu"
    edit = put_library(packages / "libedit2" / libraries, "libedit.so.2")
    llvm = put_library(packages / "libllvm14/usr/lib/llvm-14/lib", "libLLVM-14.so.1", edit)
    zlib = put_library(packages / "zlib1g/lib/x86_64-linux-gnu", "libz.so.1")
    put_library(packages / "libbpfcc" / libraries, "libbcc.so.0", llvm, zlib)
    put_library(packages / "libbpfcc" / libraries, "libbcc_bpf.so.0", zlib)
    put(packages / "zlib1g/usr/share/gdb/auto-load/libz.so.1-gdb.py", "print()")
    put(packages / "python3-bpfcc/usr/lib/python3/dist-packages/bcc/__init__.py")
    put(packages / "python3-bpfcc/usr/share/doc/python3-bpfcc/copyright")


@pytest.mark.usefixtures("bcc")
async def test_bcc_comes_with_what_it_needs_in_the_order_of_loading(packages: Path, tmp_path: Path) -> None:
    said: list[str] = []
    cache = tmp_path / "cache"
    tree = await bcc_files(cache, said.append)
    assert said == ["fetching bcc (10 MB)"]
    asked = (tmp_path / "downloaded").read_text().split()
    assert sorted(asked) == ["libbpfcc", "libedit2", "libllvm14", "python3-bpfcc", "zlib1g"]
    order = (tree / "lib/load-order").read_text().split()
    assert order == ["libedit.so.2", "libLLVM-14.so.1", "libz.so.1", "libbcc.so.0"]
    assert sorted(path.name for path in (tree / "lib").iterdir()) == sorted([*order, "load-order"])
    assert (tree / "bcc/__init__.py").exists()
    assert sorted(path.name for path in tree.iterdir()) == ["bcc", "lib"]
    shutil.rmtree(packages)
    assert await bcc_files(cache, said.append) == tree
    assert len(said) == 1


async def test_packages_without_bcc_leave_nothing(packages: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="hold no bcc"):
        await bcc_files(tmp_path / "cache", lambda _: None)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


async def test_both_halves_of_the_headers_lie_in_one_tree(packages: Path, tmp_path: Path) -> None:
    image = KernelImage(RELEASE, tmp_path / "cache/kernels/linux-image")
    image.root.mkdir(parents=True)
    common = packages / "linux-headers-6.12.9+deb12-common/usr/src/linux-headers-6.12.9+deb12-common"
    own = packages / f"linux-headers-{RELEASE}/usr/src/linux-headers-{RELEASE}"
    put(common / "include/linux/kconfig.h")
    put(common / "arch/x86/include/asm/ptrace.h")
    put(common / "arch/arm64/include/asm/ptrace.h")
    put(own / "include/generated/autoconf.h")
    put(own / "arch/x86/include/generated/asm/rwonce.h")
    said: list[str] = []
    tree = await kernel_headers(image, tmp_path / "cache", said.append)
    assert said == ["fetching the kernel's headers (4 MB)"]
    assert {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()} == {
        "include/linux/kconfig.h", "include/generated/autoconf.h",
        "arch/x86/include/asm/ptrace.h", "arch/x86/include/generated/asm/rwonce.h",
    }  # fmt: skip
    assert await kernel_headers(image, tmp_path / "cache", said.append) == tree
    assert len(said) == 1


@pytest.mark.usefixtures("packages")
async def test_headers_of_a_kernel_that_was_replaced(tmp_path: Path) -> None:
    image = KernelImage("6.12.8+deb12-cloud-amd64", tmp_path / "cache/kernels/linux-image")
    image.root.mkdir(parents=True)
    with pytest.raises(LabError, match=r"no longer has the headers of the cached kernel 6\.12\.8") as refused:
        await kernel_headers(image, tmp_path / "cache", lambda _: None)
    assert refused.value.hint == f"remove {image.root} to fetch its successor"
    assert list(image.root.iterdir()) == []
