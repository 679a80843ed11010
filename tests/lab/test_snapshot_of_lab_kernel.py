"""A snapshot of a real kernel says of every function what the kernel itself says, verdicts included."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from explorer import new_file
from explorer.commands.show import to_json
from explorer.session.loading import Stage
from explorer.session.session import Session
from explorer.session.snapshot_taking import take
from explorer.session.snapshot_target import SnapshotTarget
from explorer.session.target import LocalTarget, Target
from symbols.errors import KexploreError

SAMPLE = 300
_PADDING = 5
"""Symbols of padding among them: half of all symbols are, all alike, and each is slow to look up by its name."""


async def described(target: Target, snapshot: Path | None = None) -> tuple[list[str], Counter[str]]:
    """The lines of ``show --json`` of a seeded sample of symbols, and how many there are of each verdict."""
    session = Session(target)
    await session.open()
    await session.load(frozenset({Stage.NAMES, Stage.LISTS, Stage.PROTOTYPES}))
    if snapshot is not None:
        new_file.write(snapshot, (await take(session)).pieces(), force=False)
    catalog = session.catalog
    assert catalog is not None
    dice = random.Random(3)
    shuffled = map(catalog.symbol, dice.sample(range(len(catalog)), len(catalog)))
    symbols = list(itertools.islice((s for s in shuffled if not s.name.startswith("__pfx_")), SAMPLE))
    symbols += itertools.islice((s for s in shuffled if s.name.startswith("__pfx_")), _PADDING)
    verdicts = [catalog.verdict(symbol) for symbol in symbols]
    lines = [
        json.dumps(to_json(catalog.instance(symbol), catalog.prototype(symbol), verdict))
        for symbol, verdict in zip(symbols, verdicts, strict=True)
    ]
    await session.close()
    return lines, Counter(verdict.kind.value for verdict in verdicts)


async def test_what_a_snapshot_says_is_what_the_kernel_says(tmp_path: Path) -> None:
    path = tmp_path / "kernel.kxs"
    live, verdicts = await described(LocalTarget(), path)
    padded = "__pfx_" in Path("/proc/kallsyms").read_text()  # not before 6.2
    assert {"probeable", "notrace", "discarded init", *["padding"] * padded} <= set(verdicts)
    assert path.stat().st_size < 8_000_000
    saved, _ = await described(SnapshotTarget(path))
    assert saved == live


def test_a_full_disk_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=True)
    try:
        with pytest.raises(KexploreError, match="No space left on device"):
            new_file.write(tmp_path / "kernel.kxs", [bytes(1 << 20)], force=False)
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
