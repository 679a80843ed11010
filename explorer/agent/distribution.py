"""How to install things here: the command, by what the distribution says of itself."""

from __future__ import annotations

import enum
import os
import re
from typing import Dict, Optional


class Wanted(enum.Enum):
    """What to install."""

    BCC = "bcc"
    HEADERS = "headers"


_IN_WORDS = {Wanted.BCC: "bcc with its Python package", Wanted.HEADERS: "the headers of the running kernel"}
_COMMANDS = {
    "debian": ("apt-get install", {Wanted.BCC: "python3-bpfcc", Wanted.HEADERS: "linux-headers-{release}"}),
    "fedora": ("dnf install", {Wanted.BCC: "python3-bcc", Wanted.HEADERS: "kernel-devel-{release}"}),
    "suse": ("zypper install", {Wanted.BCC: "python3-bcc", Wanted.HEADERS: "kernel-default-devel"}),
    "arch": ("pacman -S", {Wanted.BCC: "python-bcc", Wanted.HEADERS: "linux-headers"}),
}
_FAMILIES = {
    "debian": "debian", "ubuntu": "debian",
    "fedora": "fedora", "rhel": "fedora", "centos": "fedora",
    "suse": "suse", "opensuse": "suse",
    "arch": "arch",
}  # fmt: skip


def install_hint(root: str, *wanted: Wanted) -> str:
    """The command that installs it on the machine whose file tree begins at ``root``, by ``/etc/os-release``."""
    family = _family(root)
    if family is None:
        return f"install from your distribution: {' and '.join(_IN_WORDS[what] for what in wanted)}"
    command, packages = _COMMANDS[family]
    return f"sudo {command} {' '.join(packages[what].format(release=os.uname().release) for what in wanted)}"


def _family(root: str) -> Optional[str]:
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
