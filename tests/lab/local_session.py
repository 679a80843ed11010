"""Sessions on the kernel that the tests run on, which is read once for all of them: emulated, that takes seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from explorer.session.loading import Stage
from explorer.session.session import Session
from explorer.session.target import LocalTarget
from symbols.catalog import Catalog

_read: list[Catalog] = []
"""Of this kernel, once it was read."""


@asynccontextmanager
async def local_session(rows_outstanding: int = 500) -> AsyncIterator[Session]:
    """A session with names, lists and prototypes; nothing of it may be left behind."""
    session = Session(LocalTarget(), rows_outstanding=rows_outstanding)
    await session.open()
    try:
        if not _read:
            await session.load(frozenset({Stage.NAMES, Stage.LISTS, Stage.PROTOTYPES}))
            assert session.catalog is not None
            _read.append(session.catalog)
        [session.catalog] = _read
        yield session
    finally:
        left = await session.close()
    assert left == []
