"""Directories of the lab's cache: each appears there whole, by a rename, and is made by one process at a time."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

from explorer.lab.packages import Progress

_UNFINISHED = ".unfinished-"


@contextlib.asynccontextmanager
async def locked(cache: Path, what: str, progress: Progress) -> AsyncIterator[None]:
    """Keep other processes from fetching into the same cache; waits for one that does."""
    descriptor = os.open(cache / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        told = False
        # Polled, not waited for in a thread: a thread in flock() cannot be cancelled.
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    progress(f"another kexplore is fetching {what}; waiting for it")
                    told = True
                await asyncio.sleep(0.2)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def unfinished(parent: Path) -> Iterator[Path]:
    """A directory to fill and to rename; removed if it was not. The caller holds the lock."""
    for left in parent.glob(_UNFINISHED + "*"):  # of a process that was killed
        shutil.rmtree(left)
    made = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=parent))
    try:
        made.chmod(0o755)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)  # gone after the rename


async def made_once(
    place: Path, cache: Path, what: str, progress: Progress, fill: Callable[[Path], Awaitable[None]]
) -> Path:
    """A directory of the cache; made when it is not there.

    Args:
        place: The directory.
        cache: The cache it is in, which holds the lock.
        what: What it holds, in words.
        progress: Takes a line about what is being done.
        fill: Fills the empty directory it is given.
    """
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    async with locked(cache, what, progress):
        if not place.exists():
            with unfinished(place.parent) as directory:
                await fill(directory)
                directory.rename(place)
    return place
