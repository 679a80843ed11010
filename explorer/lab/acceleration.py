"""Whether QEMU may use KVM here: only if it has been seen to boot the kernel.

``/dev/kvm`` may exist and yet abort QEMU ("failed to set MSR") or hang without a word; nested and confined machines do
both. So the kernel is booted once without a root file system and must reach the panic that follows in a few seconds.
The answer holds until the machine reboots.
"""

from __future__ import annotations

import asyncio
import enum
import json
import os
from pathlib import Path

from explorer.lab import tether
from explorer.lab.kernel_image import KernelImage
from explorer.lab.packages import Progress

PROOF_SECONDS = 5.0
"""A kernel under KVM panics after about one second."""

_REACHED = b"Unable to mount root fs"


class Acceleration(enum.Enum):
    """Who executes the guest's instructions."""

    KVM = "kvm"
    EMULATED = "tcg"

    @property
    def qemu_arguments(self) -> list[str]:
        """The accelerator and the processor that goes with it."""
        if self is Acceleration.KVM:
            return ["-accel", "kvm", "-cpu", "host"]
        # One thread for all processors: with one for each, QEMU 7.2 loses track of code that one processor patches
        # while another runs it, as kprobes and ftrace do: the guest panics, or a probe never fires on one of them.
        # Without 5-level page tables: they cost an emulated guest time, and few machines have them.
        return ["-accel", "tcg,thread=single", "-cpu", "max,la57=off"]


async def acceleration(
    qemu: Path, image: KernelImage, cache: Path, progress: Progress, root: Path = Path("/")
) -> Acceleration:
    """KVM if it is proven to work, else emulation; the proof is remembered until the next boot of this machine."""
    if not os.access(root / "dev/kvm", os.R_OK | os.W_OK):
        return Acceleration.EMULATED
    boot = (root / "proc/sys/kernel/random/boot_id").read_text().strip()
    answer_file = cache / f"acceleration-{image.release}-{os.geteuid()}.json"
    remembered = _remembered(answer_file, boot)
    if remembered is not None:
        return remembered
    progress("trying KVM")
    answer = Acceleration.KVM if await _boots_with_kvm(qemu, image) else Acceleration.EMULATED
    unfinished = answer_file.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps({"boot_id": boot, "acceleration": answer.value}))
    unfinished.rename(answer_file)
    return answer


def _remembered(answer_file: Path, boot: str) -> Acceleration | None:
    try:
        answer = json.loads(answer_file.read_text())
        return Acceleration(answer["acceleration"]) if answer["boot_id"] == boot else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # never asked, or damaged: asking again mends it


async def _boots_with_kvm(qemu: Path, image: KernelImage) -> bool:
    process = await asyncio.create_subprocess_exec(
        *tether.command(str(qemu), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", "512"),
        *Acceleration.KVM.qemu_arguments,
        *("-serial", "stdio", "-kernel", str(image.kernel), "-append", "console=ttyS0 panic=-1 quiet"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), PROOF_SECONDS)
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _REACHED in output
