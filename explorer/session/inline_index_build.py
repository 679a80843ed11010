"""Makes the index of inlined copies in a process of its own: it takes a processor for half a minute.

``python -m explorer.session.inline_index_build FILE BUILD_ID INDEX`` writes INDEX, whole or not at all, and says on
stdout how far it is: a line of two numbers, bytes behind us and bytes in all. On failure: status 1, the cause on
stderr.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from explorer.session.debuginfo_files import open_image
from symbols.dwarf import inline_index
from symbols.errors import KexploreError

_STEP = 4 << 20
"""Bytes between two reports."""
_NICEST = 19


def main(path: str, build_id: str, target: str) -> int:
    """Make the index; returns the exit status."""
    os.nice(_NICEST)
    told = 0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if done - told >= _STEP or done == total:
            told = done
            print(done, total, flush=True)
            image.forget_pages()

    try:
        image = open_image(Path(path), build_id)
        write_whole(Path(target), inline_index.build(image, progress))
    except BrokenPipeError:  # nobody waits for it any more
        return 1
    except (KexploreError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(data)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
