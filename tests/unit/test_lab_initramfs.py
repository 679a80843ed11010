"""The first files of a kernel that has the lab's devices as modules."""

from __future__ import annotations

import lzma
import subprocess
from pathlib import Path

import pytest

from explorer.lab.errors import LabError
from explorer.lab.initramfs import initramfs
from explorer.lab.kernel_image import KernelImage

RELEASE = "6.1.0-9-cloud-amd64"
DRIVERS = "kernel/drivers/virtio/virtio_pci.ko\nkernel/fs/fuse/virtiofs.ko\nkernel/drivers/char/virtio_console.ko\n"
APT_GET = "#!/bin/sh\necho fetched >> $STATE\ntouch busybox.deb\n"
DPKG_DEB = '#!/bin/sh\nmkdir -p "$3/bin"\nprintf shell > "$3/bin/busybox"\n'


def module(directory: Path, name: str, depends: str) -> bytes:
    """An object file that names what it depends on, as the kernel's build system writes it."""
    source, made = directory / f"{name}.s", directory / f"{name}.o"
    source.write_text(f'.section .modinfo,"a"\n.asciz "license=GPL"\n.asciz "depends={depends}"\n')
    subprocess.run(["gcc", "-c", "-o", str(made), str(source)], check=True)
    return made.read_bytes()


@pytest.fixture
def image(tmp_path: Path) -> KernelImage:
    """A kernel that has the drivers as modules, one of them compressed."""
    image = KernelImage(RELEASE, tmp_path / "kernel")
    modules = image.root / "lib/modules" / RELEASE
    modules.mkdir(parents=True)
    (modules / "modules.builtin").write_text("kernel/drivers/virtio/virtio.ko\n")
    for name, depends in {
        "virtio_ring": "",
        "virtio_pci": "virtio_ring,virtio",
        "virtiofs": "fuse,virtio",
        "fuse": "",
        "virtio_console": "virtio_ring",
    }.items():
        data = module(tmp_path, name, depends)
        if name == "fuse":
            (modules / "fuse.ko.xz").write_bytes(lzma.compress(data))
        else:
            (modules / f"{name}.ko").write_bytes(data)
    return image


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of a scripted apt."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("apt-get", APT_GET), ("apt-cache", APT_GET), ("dpkg-deb", DPKG_DEB)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("STATE", str(tmp_path / "log"))
    return tmp_path / "log"


async def test_modules_are_loaded_behind_what_they_depend_on(image: KernelImage, fetched: Path) -> None:
    made = await initramfs(image, lambda _: None)
    assert made is not None
    data = made.read_bytes()
    order = "virtio_ring.ko virtio_pci.ko fuse.ko virtiofs.ko virtio_console.ko"
    assert f"for module in {order}; do".encode() in data, "what is built in needs no loading"
    # Bytes of a header, as the kernel wants them: every file begins at a multiple of four, hexadecimal, 110 + name.
    names, position = [], 0
    while True:
        head = data[position : position + 110]
        assert head[:6] == b"070701"
        fields = [int(head[6 + 8 * index : 14 + 8 * index], 16) for index in range(13)]
        size, length = fields[6], fields[11]
        names.append(data[position + 110 : position + 109 + length].decode())
        body = position + (110 + length + 3) // 4 * 4
        if names[-1] == "modules/fuse.ko":
            assert data[body : body + 4] == b"\x7fELF", "the kernel takes what is not compressed"
        position = body + (size + 3) // 4 * 4
        if names[-1] == "TRAILER!!!":
            break
    assert position == len(data)
    assert names == ["bin", "bin/busybox", "modules", *(f"modules/{name}" for name in order.split()), "init", names[-1]]


async def test_it_is_made_once(image: KernelImage, fetched: Path) -> None:
    said: list[str] = []
    assert await initramfs(image, said.append) == await initramfs(image, said.append)
    assert fetched.read_text().count("fetched") == 1
    assert len(said) == 1
    assert sorted(path.name for path in image.root.iterdir()) == ["initramfs", "lib"]


async def test_a_kernel_that_has_the_drivers_built_in_needs_none(image: KernelImage, fetched: Path) -> None:
    (image.root / "lib/modules" / RELEASE / "modules.builtin").write_text(DRIVERS)
    assert await initramfs(image, lambda _: None) is None
    assert not fetched.exists()


async def test_a_damaged_module_is_named(image: KernelImage, fetched: Path) -> None:
    (image.root / "lib/modules" / RELEASE / "fuse.ko.xz").write_bytes(lzma.compress(b"nonsense"))
    with pytest.raises(LabError, match="the module fuse is damaged"):
        await initramfs(image, lambda _: None)
