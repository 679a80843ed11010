"""Writing a file whole or not at all, for its owner alone, and never over another one unasked."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from symbols.errors import Category, KexploreError

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What file systems without hard links answer, those of USB sticks for example."""


def refuse_existing(path: Path, *, force: bool) -> None:
    """Refuse a place that is taken, before the work is done.

    Args:
        path: Where the file is to be.
        force: Whether another file may be replaced; only a regular one ever is.

    Raises:
        KexploreError: Something is there, or the folder is not.
    """
    if os.path.lexists(path):
        if not force:
            raise KexploreError(f"{path} exists already", "another name, or --force to replace it", Category.USAGE)
        if not path.is_file():
            raise KexploreError(f"{path} is no regular file, so it is not replaced", "another name", Category.USAGE)
    if not path.parent.is_dir():
        raise KexploreError(f"there is no folder {path.parent}", "create it first", Category.USAGE)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise KexploreError(f"no file can be made in {path.parent}", "another folder", Category.NOT_PERMITTED)


def write(path: Path, pieces: Iterable[bytes], *, force: bool) -> None:
    """Write a file with mode 0600: it is there complete, or not there.

    Raises:
        KexploreError: Something is there already, or it could not be written; then nothing is left of it.
    """
    refuse_existing(path, force=force)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(handle)
            _give_name(name, path, force=force)
        finally:
            with contextlib.suppress(FileNotFoundError):  # it has its name
                os.unlink(name)
    except OSError as error:
        raise KexploreError(f"cannot write {path}: {error.strerror}", "nothing was left of it") from None


def _give_name(name: str, path: Path, *, force: bool) -> None:
    if not force:
        try:
            os.link(name, path)  # unlike a rename, it never replaces what came there meanwhile
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            refuse_existing(path, force=False)
        else:
            return
    os.replace(name, path)
