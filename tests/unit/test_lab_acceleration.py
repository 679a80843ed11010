"""KVM is used only where a kernel was seen to boot with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.lab import acceleration as module
from explorer.lab.acceleration import Acceleration, acceleration
from explorer.lab.kernel_image import KernelImage

IMAGE = KernelImage("6.12.9", Path("/nonexistent"))
WORKS = "echo '[ 0.9] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)'"
ABORTS = "echo 'error: failed to set MSR 0x10a to 0x69'; kill -ABRT $$"
HANGS = "exec sleep 1000"


class Machine:
    """A root with a /dev/kvm and a boot id, and a QEMU that is a script and counts its runs."""

    def __init__(self, root: Path, qemu: str) -> None:
        self.root = root
        for directory in ("dev", "proc/sys/kernel/random", "cache"):
            (root / directory).mkdir(parents=True)
        (root / "dev/kvm").touch()
        self.reboot("first")
        self.qemu = root / "qemu"
        self.qemu.write_text(f"#!/bin/sh\necho run >> {root}/runs\n{qemu}\n")
        self.qemu.chmod(0o755)

    def reboot(self, boot: str) -> None:
        (self.root / "proc/sys/kernel/random/boot_id").write_text(boot + "\n")

    @property
    def runs(self) -> int:
        runs = self.root / "runs"
        return len(runs.read_text().splitlines()) if runs.exists() else 0

    async def ask(self) -> Acceleration:
        return await acceleration(self.qemu, IMAGE, self.root / "cache", lambda _: None, self.root)


@pytest.mark.parametrize(
    ("qemu", "expected"),
    [(WORKS, Acceleration.KVM), (ABORTS, Acceleration.EMULATED), (HANGS, Acceleration.EMULATED)],
    ids=["works", "aborts", "hangs"],
)
async def test_the_proof_is_tried_once_in_each_boot_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qemu: str, expected: Acceleration
) -> None:
    if qemu == HANGS:
        monkeypatch.setattr(module, "PROOF_SECONDS", 0.5)
    machine = Machine(tmp_path, qemu)
    assert [await machine.ask(), await machine.ask()] == [expected, expected]
    assert machine.runs == 1
    machine.reboot("second")
    assert await machine.ask() is expected
    assert machine.runs == 2


async def test_a_machine_without_kvm_is_not_asked(tmp_path: Path) -> None:
    machine = Machine(tmp_path, WORKS)
    (tmp_path / "dev/kvm").unlink()
    assert await machine.ask() is Acceleration.EMULATED
    assert machine.runs == 0


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b'{"boot_id": "first"}', b"\xff", b'{"boot_id": "first", "acceleration": 1}']
)
async def test_a_damaged_answer_is_asked_for_again(tmp_path: Path, damage: bytes) -> None:
    machine = Machine(tmp_path, WORKS)
    await machine.ask()
    (answer,) = (tmp_path / "cache").iterdir()
    answer.write_bytes(damage)
    assert await machine.ask() is Acceleration.KVM
    assert machine.runs == 2
