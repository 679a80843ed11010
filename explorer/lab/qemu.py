"""The machine that QEMU is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from explorer.lab.kernel_image import KernelImage

_INIT = Path(__file__).resolve().parent / "guest" / "init.py"


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the machine is made of."""

    memory_mb: int
    cpus: int


def arguments(
    image: KernelImage, initramfs: Path | None, hardware: Hardware, files: int, ports: Mapping[str, int]
) -> list[str]:
    """QEMU's arguments beside the accelerator's.

    Args:
        image: The kernel.
        initramfs: Its first files; None where it reaches the host's by itself.
        hardware: What the machine is made of.
        files: Descriptor of the socket to virtiofsd.
        ports: For the name of each virtio port, the descriptor of a connected socket.
    """
    memory = f"{hardware.memory_mb}M"
    chosen = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]
    chosen += ["-machine", "pc,memory-backend=memory", "-smp", str(hardware.cpus), "-m", memory]
    # Shared, because virtiofsd reads and writes the guest's memory.
    chosen += ["-object", f"memory-backend-memfd,id=memory,size={memory},share=on"]
    chosen += ["-kernel", str(image.kernel), "-append", _command_line(initramfs is not None)]
    chosen += ["-initrd", str(initramfs)] if initramfs is not None else []
    chosen += ["-chardev", f"socket,id=files,fd={files}", "-device", "vhost-user-fs-pci,chardev=files,tag=rootfs"]
    chosen += ["-device", "virtio-serial-pci"]
    for number, (name, descriptor) in enumerate(ports.items()):
        chosen += ["-chardev", f"socket,id=port{number},fd={descriptor}"]
        chosen += ["-device", f"virtserialport,chardev=port{number},name={name}"]
    return chosen


def _command_line(from_initramfs: bool) -> str:
    """The kernel's. A panic reboots at once, which ``-no-reboot`` turns into the end of QEMU."""
    python = os.path.realpath(sys.executable)
    common = "console=ttyS0 quiet panic=-1"
    if from_initramfs:
        return f'{common} -- "{python}" -I -S "{_INIT}"'
    return f'{common} rootfstype=virtiofs root=rootfs ro init="{python}" -- -I -S "{_INIT}"'
