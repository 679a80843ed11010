"""This machine's files for the guest: virtiofsd, over a socket that nobody else can reach.

virtiofsd wants to listen. It gets a socket that already listens and has been connected to, whose name is gone again:
no file is left behind, and no other user can connect to what would be all of root's files.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from pathlib import Path

from explorer.lab import tether
from explorer.lab.errors import LabError
from symbols.errors import Category


def connected_listener() -> tuple[socket.socket, socket.socket]:
    """A listening Unix socket without a name, and the one connection that waits on it."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with tempfile.TemporaryDirectory(prefix="kexplore-lab-") as directory:
            descriptor = os.open(directory, os.O_PATH)
            try:
                # By descriptor: a socket's path may have 107 bytes only, a temporary directory more.
                name = f"/proc/self/fd/{descriptor}/socket"
                listener.bind(name)
                listener.listen(1)
                client.connect(name)
            finally:
                os.close(descriptor)
    except BaseException:
        listener.close()
        client.close()
        raise
    return listener, client


def require_rights(virtiofsd: Path, root: bool, groups: list[int]) -> None:
    """Refuse before anything is fetched or booted what virtiofsd would refuse in the middle of it.

    Args:
        virtiofsd: The program.
        root: Whether this is root.
        groups: This process's supplementary groups.

    Raises:
        LabError: The program in C gives up supplementary groups or ends, and only root may give them up.
    """
    if virtiofsd.parent.name == "qemu" and groups and not root:
        message = "the lab needs root here: QEMU's own virtiofsd cannot share files for a user who is in a group"
        raise LabError(message, "sudo kexplore lab (or sudo kexplore --lab)", Category.NOT_PERMITTED)


def options(virtiofsd: Path, listener: int, root: bool) -> list[str]:
    """Its options; the program in C (until QEMU 7.2) and the one in Rust share few.

    The cache mode matters most: without ``always`` each look-up asks the host, and an emulated guest crawls.
    """
    if virtiofsd.parent.name == "qemu":
        chosen = ["-f", f"--fd={listener}"]
        for option in ("source=/", "sandbox=chroot", "cache=always", "log_level=err"):
            chosen += ["-o", option]
    else:
        chosen = [f"--fd={listener}", "--shared-dir=/", "--sandbox=chroot", "--cache=always", "--log-level=error"]
    # The limit that it would like is refused to other users; the tether has already given it the most there is.
    return chosen if root else [*chosen, "--rlimit-nofile=0"]


async def share(virtiofsd: Path) -> tuple[asyncio.subprocess.Process, socket.socket]:
    """Start virtiofsd on this machine's root; the process, its stderr a pipe, and the socket for QEMU."""
    listener, client = connected_listener()
    with listener:
        try:
            process = await asyncio.create_subprocess_exec(
                *tether.command(
                    str(virtiofsd), *options(virtiofsd, listener.fileno(), os.geteuid() == 0), read_only=True
                ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        except BaseException:
            client.close()
            raise
    return process, client
