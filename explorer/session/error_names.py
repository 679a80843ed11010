"""Names of the kernel's error numbers, those that never reach user space included (include/linux/errno.h)."""

from __future__ import annotations

import errno

_KERNEL_ONLY = {
    512: "ERESTARTSYS", 513: "ERESTARTNOINTR", 514: "ERESTARTNOHAND", 515: "ENOIOCTLCMD", 516: "ERESTART_RESTARTBLOCK",
    517: "EPROBE_DEFER", 518: "EOPENSTALE", 519: "ENOPARAM", 521: "EBADHANDLE", 522: "ENOTSYNC", 523: "EBADCOOKIE",
    524: "ENOTSUPP", 525: "ETOOSMALL", 526: "ESERVERFAULT", 527: "EBADTYPE", 528: "EJUKEBOX", 529: "EIOCBQUEUED",
    530: "ERECALLCONFLICT", 531: "ENOGRACE",
}  # fmt: skip
# Numbers with two names: the one that kernel sources use.
_PREFERRED = {11: "EAGAIN", 35: "EDEADLK", 95: "EOPNOTSUPP"}

_NAMES = {**errno.errorcode, **_KERNEL_ONLY, **_PREFERRED}

ERROR_NUMBERS = {**{name: number for number, name in _NAMES.items()}, "EWOULDBLOCK": 11, "EDEADLOCK": 35, "ENOTSUP": 95}
"""All names and their numbers, positive as in C."""

MAX_ERRNO = 4095
"""Largest number that IS_ERR_VALUE takes for an error (include/linux/err.h)."""


def error_name(value: int) -> str | None:
    """``-ENOENT`` for -2; None where ``value`` is no error or has no name."""
    name = _NAMES.get(-value) if -MAX_ERRNO <= value < 0 else None
    return f"-{name}" if name else None
