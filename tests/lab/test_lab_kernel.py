"""What every other lab test takes for granted."""

from __future__ import annotations

import errno
import os
import platform
import socket
import tempfile
from pathlib import Path

import pytest


def test_this_is_the_labs_kernel(every_kernel: str) -> None:
    assert os.environ["KEXPLORE_LAB"] == "1"
    assert platform.release().startswith(f"{every_kernel}.")
    assert os.geteuid() == 0


def test_kprobes_can_be_defined() -> None:
    events = os.open("/sys/kernel/tracing/kprobe_events", os.O_RDWR | os.O_APPEND)
    try:
        os.write(events, b"p:lab/sanity vfs_read\n")
        assert b"p:lab/sanity vfs_read" in Path("/sys/kernel/tracing/kprobe_events").read_bytes()
        os.write(events, b"-:lab/sanity\n")
    finally:
        os.close(events)


@pytest.mark.parametrize(
    "path", ["/sys/kernel/btf/vmlinux", "/sys/kernel/debug/kprobes/blacklist", "/sys/fs/cgroup/cgroup.procs"]
)
def test_the_kernels_file_systems_are_there(path: str) -> None:
    assert Path(path).read_bytes()


def test_the_kernel_shows_its_addresses() -> None:
    with open("/proc/kallsyms") as file:
        addresses = {name: int(address, 16) for address, _, name, *_ in map(str.split, file)}
    assert addresses["vfs_read"] > addresses["_text"] > 1 << 63


def test_the_kernels_configuration_is_where_programs_look_for_it() -> None:
    assert "CONFIG_KPROBES=y" in Path(f"/boot/config-{platform.release()}").read_text()


def test_tracing_the_scheduler_on_and_off_does_not_bring_it_down() -> None:
    """Emulated with a thread for each processor, 6.12 panicked within seconds of this."""
    enable = Path("/sys/kernel/tracing/events/sched/sched_switch/enable")
    for _ in range(100):
        enable.write_text("1")
        enable.write_text("0")


def test_the_hosts_files_cannot_be_changed() -> None:
    with pytest.raises(OSError, match="Read-only") as refused:
        Path("/usr/written_in_the_lab").touch()  # not beside this file: that may lie below /tmp
    assert refused.value.errno == errno.EROFS


def test_temporary_files_can_be_written() -> None:
    for directory in ("/tmp", "/var/tmp", "/run", "/dev/shm", os.environ["HOME"]):
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"x")


def test_the_loopback_network_is_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()
