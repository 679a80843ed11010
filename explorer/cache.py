"""The user's cache directory: what can be made again, at a price."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def cache_root(environment: Mapping[str, str] = os.environ) -> Path:
    """Kexplore's directory in the user's cache directory; it may not exist yet."""
    # The specification of XDG says to ignore a relative path.
    given = environment.get("XDG_CACHE_HOME", "")
    base = Path(given) if os.path.isabs(given) else Path(environment.get("HOME") or "~").expanduser() / ".cache"
    return base / "kexplore"
