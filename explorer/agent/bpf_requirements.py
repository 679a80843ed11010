"""What the kernel and its headers must bring for bcc to compile, load and read, told from files alone."""

from __future__ import annotations

import glob
import os
from typing import Mapping

from explorer.agent.distribution import Wanted, install_hint
from explorer.agent.failure import RequestError
from explorer.agent.lockdown import lockdown_mode
from explorer.agent.protocol import Code


class BccMissing(RequestError):
    """The bpf engine cannot be used here."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(Code.KERNEL_CANNOT, message, hint)


def require(root: str, environment: Mapping[str, str]) -> None:
    """See that the kernel takes BPF programs that read its memory, and that there are headers to compile them with.

    Raises:
        BccMissing: It does not, or there are none.
    """
    kernel = os.path.join(root, "proc/sys/kernel")
    # The setting is there in every kernel with the system call (kernel/bpf/syscall.c; kernel/sysctl.c before 5.19).
    if os.path.isdir(kernel) and not os.path.exists(os.path.join(kernel, "unprivileged_bpf_disabled")):
        raise BccMissing("this kernel was built without CONFIG_BPF_SYSCALL", "kexplore --lab has a kernel with it")
    if lockdown_mode(root) == "confidentiality":
        raise BccMissing(
            "this kernel is locked down (confidentiality): BPF may not read its memory",
            "lockdown comes with Secure Boot or the kernel option lockdown=, and cannot be lifted while it runs",
        )
    _require_headers(root, environment)


def _require_headers(root: str, environment: Mapping[str, str]) -> None:
    """Where bcc itself looks (its src/cc/frontends/clang/loader.cc)."""
    chosen = environment.get("BCC_KERNEL_SOURCE")
    if chosen and _headers_in(chosen):
        return
    release = os.uname().release
    modules = os.path.join(root, "lib/modules", release)
    # A directory alone does not tell: distributions leave links to headers that are not installed.
    if not chosen and any(_headers_in(os.path.join(modules, name)) for name in ("build", "source")):
        return
    if os.path.exists(os.path.join(root, "sys/kernel/kheaders.tar.xz")):
        return
    if glob.glob(os.path.join(modules, "kernel/kernel/kheaders.ko*")):  # bcc loads the module itself
        return
    if chosen:
        raise BccMissing(f"BCC_KERNEL_SOURCE names {chosen}, which holds no kernel headers", "unset it")
    raise BccMissing(f"the headers of the kernel {release} are missing", install_hint(root, Wanted.HEADERS))


def _headers_in(directory: str) -> bool:
    return os.path.isfile(os.path.join(directory, "include/linux/kconfig.h"))
