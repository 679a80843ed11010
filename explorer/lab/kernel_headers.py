"""The headers of the lab's kernel, which bcc compiles with: Debian's packages, unpacked beside the kernel.

Debian keeps what all kernels of a version share and what one of them generated in two packages, which its build files
tie together with absolute paths. Here both lie in one tree, which a compiler can use where it is and
``$BCC_KERNEL_SOURCE`` can name.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from explorer.lab.cached_directory import made_once
from explorer.lab.errors import LabError
from explorer.lab.kernel_image import KernelImage
from explorer.lab.packages import Apt, Progress

_COMMON = re.compile(r"linux-headers-.*-common")
_SOURCES = "usr/src"
_PARTS = ("include", "arch/x86/include")


async def kernel_headers(image: KernelImage, cache: Path, progress: Progress) -> Path:
    """A kernel's source tree as far as headers go; fetched when it is not beside the kernel.

    Raises:
        LabError: It could not be fetched.
    """
    package = f"linux-headers-{image.release}"

    async def fill(directory: Path) -> None:
        apt = Apt()
        unpacked = directory / "unpacked"
        unpacked.mkdir()
        wanted = "the kernel's headers"
        packages = await apt.fetch(wanted, lambda: apt.with_dependencies(package, _COMMON), unpacked, progress)
        if not packages:
            raise LabError(
                f"Debian no longer has the headers of the cached kernel {image.release}",
                f"remove {image.root} to fetch its successor",
            )
        for part in _PARTS:
            trees = [tree for name in packages if (tree := unpacked / _SOURCES / name / part).is_dir()]
            if not trees:
                raise LabError(f"the package {package} holds no {part}", "this is a fault of kexplore: report it")
            for tree in trees:
                shutil.copytree(tree, directory / part, symlinks=True, dirs_exist_ok=True, copy_function=shutil.move)
        shutil.rmtree(unpacked)

    return await made_once(image.root / "headers", cache, "the kernel's headers", progress, fill)
