"""The options that a kernel was built with: the text of /proc/config.gz or /boot/config-*."""

from __future__ import annotations

import re


def option(config: bytes, name: str) -> str | None:
    """The value of ``CONFIG_name``: ``y``, ``m``, a number or a string; ``n`` when it is not set.

    Args:
        config: The text. An option that is not in it is not set, for options whose conditions are not met are left out.
        name: With or without the ``CONFIG_`` in front.

    Returns:
        None when ``config`` is no kernel configuration at all.
    """
    if b"CONFIG_" not in config:
        return None
    full = name if name.startswith("CONFIG_") else f"CONFIG_{name}"
    match = re.search(rf"^{re.escape(full)}=(.*)$".encode(), config, re.MULTILINE)
    return match[1].decode("ascii", "replace").strip('"') if match else "n"
