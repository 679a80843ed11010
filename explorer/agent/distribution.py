"""How to install things here: the command, by what the distribution says of itself."""

from __future__ import annotations

import enum
import os
import re
from typing import Dict


class Wanted(enum.Enum):
    """What to install."""

    BCC = "bcc"
    HEADERS = "headers"


_COMMANDS = {
    "debian": ("apt-get install", "python3-bpfcc", "linux-headers-{release}"),
    "fedora": ("dnf install", "python3-bcc", "kernel-devel-{release}"),
    "suse": ("zypper install", "python3-bcc", "kernel-default-devel"),
    "arch": ("pacman -S", "python-bcc", "linux-headers"),
}
_FAMILIES = {
    "debian": "debian", "ubuntu": "debian",
    "fedora": "fedora", "rhel": "fedora", "centos": "fedora",
    "suse": "suse", "opensuse": "suse",
    "arch": "arch",
}  # fmt: skip


def install_hint(root: str, wanted: Wanted) -> str:
    """The command that installs it on the machine whose file tree begins at ``root``, by ``/etc/os-release``."""
    family = _family(root)
    if family is None:
        what = "bcc with its Python package" if wanted is Wanted.BCC else "the headers of the running kernel"
        return f"install {what} from your distribution"
    command, bcc, headers = _COMMANDS[family]
    package = bcc if wanted is Wanted.BCC else headers.format(release=os.uname().release)
    return f"sudo {command} {package}"


def _family(root: str) -> str | None:
    names = _os_release(root)
    for name in f"{names.get('ID', '')} {names.get('ID_LIKE', '')}".split():
        known = _FAMILIES.get(name) or _FAMILIES.get(name.partition("-")[0])
        if known is not None:
            return known
    return None


def _os_release(root: str) -> Dict[str, str]:
    """Its variables (os-release(5)); empty where the file is missing."""
    for place in ("etc/os-release", "usr/lib/os-release"):
        try:
            with open(os.path.join(root, place), encoding="utf-8", errors="replace") as file:
                return dict(re.findall(r"^([A-Z_]+)=[\"']?(.*?)[\"']?$", file.read(), re.MULTILINE))
        except OSError:
            continue
    return {}
