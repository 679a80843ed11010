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


def require_kernel(root: str) -> None:
    """See that the kernel takes BPF programs that read its memory.

    Raises:
        BccMissing: It does not.
    """
    kernel = os.path.join(root, "proc/sys/kernel")
    # The setting is there in every kernel with the system call, since 4.4 (kernel/sysctl.c, now kernel/bpf/syscall.c).
    if os.path.isdir(kernel) and not os.path.exists(os.path.join(kernel, "unprivileged_bpf_disabled")):
        raise BccMissing("this kernel was built without CONFIG_BPF_SYSCALL", "kexplore --lab has a kernel with it")
    if lockdown_mode(root) == "confidentiality":
        raise BccMissing(
            "this kernel is locked down (confidentiality): BPF may not read its memory",
            "lockdown comes with Secure Boot or the kernel option lockdown=, and cannot be lifted while it runs",
        )


def require_headers(root: str, environment: Mapping[str, str]) -> None:
    """See that there are kernel headers to compile with.

    Raises:
        BccMissing: There are none.
    """
    if headers_found(root, environment):
        return
    chosen = environment.get("BCC_KERNEL_SOURCE")
    if chosen:
        raise BccMissing(f"BCC_KERNEL_SOURCE names {chosen}, which holds no kernel headers", "unset it")
    release = os.uname().release
    raise BccMissing(f"the headers of the kernel {release} are missing", install_hint(root, Wanted.HEADERS))


def headers_found(root: str, environment: Mapping[str, str]) -> bool:
    """Whether bcc will find headers; it looks in the same places (its src/cc/frontends/clang/loader.cc)."""
    modules = os.path.join(root, "lib/modules", os.uname().release)
    chosen = environment.get("BCC_KERNEL_SOURCE")
    # A directory alone does not tell: distributions leave links to headers that are not installed.
    sources = [chosen] if chosen else [os.path.join(modules, name) for name in ("build", "source")]
    if any(os.path.isfile(os.path.join(source, "include/linux/kconfig.h")) for source in sources):
        return True
    if os.path.exists(os.path.join(root, "sys/kernel/kheaders.tar.xz")):
        return True
    return bool(glob.glob(os.path.join(modules, "kernel/kernel/kheaders.ko*")))  # bcc loads the module itself
