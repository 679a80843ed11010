"""What ``kexplore cost`` measured, kept for the guard: a few numbers for each kernel of each machine."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

from explorer.agent import hit_cost
from explorer.agent.protocol import Message
from explorer.cache import cache_root
from explorer.session.hello import Hello

MEMBERS = hit_cost.Prices._fields
_WHEN = "measured"


def _file() -> Path:
    return cache_root() / "cost.json"


def _key(hello: Hello) -> str:
    return f"{hello.hostname} {hello.release} {hello.machine}"


def _read() -> dict[str, Any]:
    try:
        found = json.loads(_file().read_text())
    except (OSError, ValueError):
        return {}  # never measured, or damaged: it can be measured again
    return found if isinstance(found, dict) else {}


def keep(hello: Hello, prices: Message) -> Path:
    """Keep the prices of a kernel.

    Returns:
        The file.

    Raises:
        OSError: It cannot be written.
    """
    everything = {**_read(), _key(hello): {**prices, _WHEN: datetime.date.today().isoformat()}}
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    # Whole or not at all: two of us may write at once.
    fresh = file.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(everything, indent=1) + "\n")
    fresh.replace(file)
    return file


def measured_on(hello: Hello) -> datetime.date | None:
    """When prices of this kernel were kept last; None when none were."""
    found = _read().get(_key(hello))
    when = found.get(_WHEN) if isinstance(found, dict) and kept(hello) is not None else None
    try:
        return datetime.date.fromisoformat(when) if isinstance(when, str) else None
    except ValueError:
        return None


def kept(hello: Hello) -> Message | None:
    """What was measured on this kernel; None when nothing was."""
    found = _read().get(_key(hello))
    if not isinstance(found, dict):
        return None
    values = {name: found.get(name) for name in MEMBERS}
    if not all(value is None or (type(value) is int and 0 < value <= 1_000_000_000) for value in values.values()):
        return None
    return values
