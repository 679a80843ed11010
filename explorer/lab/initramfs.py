"""The first files of kernels that have the lab's devices as modules (Debian's 6.1): enough to reach the host's files.

A kernel that has the drivers of ``_NEEDED`` built in mounts the host's files by itself and gets none of this.
"""

from __future__ import annotations

import io
import lzma
import tempfile
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from explorer.lab.errors import LabError
from explorer.lab.kernel_image import KernelImage
from explorer.lab.packages import Apt, Progress

_NEEDED = ("virtio_pci", "virtiofs", "virtio_console")
_SHELL_PACKAGE = "busybox-static"
_SHELLS = ("bin/busybox", "usr/bin/busybox")
"""Where the package has it: Debian 12's, and since /bin is a link."""

_INIT = """\
#!/bin/busybox sh
# The kernel passes what stands behind -- of its command line: the program to start, and its arguments.
set -e
for module in {modules}; do busybox insmod /modules/$module; done
busybox mount -t virtiofs -o ro rootfs /root
exec busybox switch_root /root "$@"
"""
_PROGRAM, _DIRECTORY = 0o100755, 0o040755


async def initramfs(image: KernelImage, progress: Progress) -> Path | None:
    """The file to boot the kernel with, made once and kept beside it; None when it needs none.

    Raises:
        LabError: It could not be made.
    """
    missing = _load_order(image, _NEEDED)
    if not missing:
        return None
    made = image.root / "initramfs"
    if made.exists():
        return made
    with tempfile.TemporaryDirectory(dir=image.root) as name:
        directory = Path(name)
        progress(f"fetching {_SHELL_PACKAGE}, to load {', '.join(_NEEDED)} with")
        await Apt().unpack([_SHELL_PACKAGE], directory)
        shell = next((directory / path for path in _SHELLS if (directory / path).exists()), None)
        if shell is None:
            raise LabError(f"the package {_SHELL_PACKAGE} holds no busybox", "this is a fault of kexplore: report it")
        unfinished = directory / "initramfs"
        unfinished.write_bytes(_archive(shell.read_bytes(), missing))
        unfinished.rename(made)
    return made


def _load_order(image: KernelImage, wanted: tuple[str, ...]) -> dict[str, bytes]:
    """The modules by name, each behind those that it depends on; without what the kernel has built in."""
    built_in = {Path(line).stem for line in _built_in_files(image)}
    order: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name not in built_in and name not in order:
            module = _read(image.module(name))
            for dependency in _dependencies(image, name, module):
                add(dependency)
            order[name] = module

    for name in wanted:
        add(name)
    return order


def _built_in_files(image: KernelImage) -> list[str]:
    try:
        return (image.modules / "modules.builtin").read_text().splitlines()
    except FileNotFoundError:
        raise LabError(
            f"the package of {image.release} is not whole", f"remove {image.root} to fetch it again"
        ) from None


def _read(module: Path) -> bytes:
    data = module.read_bytes()
    return lzma.decompress(data) if module.suffix == ".xz" else data


def _dependencies(image: KernelImage, name: str, module: bytes) -> list[str]:
    """What the module's own ``.modinfo`` names; file names have dashes or underscores, this has underscores."""
    try:
        section = ELFFile(io.BytesIO(module)).get_section_by_name(".modinfo")
    except ELFError as error:
        raise LabError(f"the module {name} is damaged: {error}", f"remove {image.root} to fetch it again") from None
    entries = section.data().split(b"\0") if section is not None else []
    named = next((entry[len(b"depends=") :] for entry in entries if entry.startswith(b"depends=")), b"")
    return [dependency for dependency in named.decode().split(",") if dependency]


def _archive(shell: bytes, modules: dict[str, bytes]) -> bytes:
    script = _INIT.format(modules=" ".join(f"{name}.ko" for name in modules))
    files = [("bin", _DIRECTORY, b""), ("bin/busybox", _PROGRAM, shell), ("modules", _DIRECTORY, b"")]
    files += [(f"modules/{name}.ko", _PROGRAM, data) for name, data in modules.items()]
    files += [("init", _PROGRAM, script.encode()), ("TRAILER!!!", 0, b"")]
    return b"".join(_entry(number, *file) for number, file in enumerate(files, start=1))


def _entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    """A file as the kernel reads it: cpio's "newc" (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    path = name.encode() + b"\0"
    # inode, mode, uid, gid, links, mtime, size, four device numbers, length of the name, checksum
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
