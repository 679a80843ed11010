"""One function out of the debug information of a whole kernel, and the index of all inlined copies, with their memory.

``python -m tests.benchmarks.dwarf VMLINUX [NAME ...]``: a file of some hundred megabytes, such as that of Debian's
``linux-image-*-dbg``. Each figure is of a fresh process, as the first time is what a person waits for; the file's own
pages count as resident memory as far as they were touched.
"""

from __future__ import annotations

import mmap
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

NAMES = ("vfs_read", "do_sys_openat2", "handle_mm_fault", "tcp_sendmsg", "__schedule")
RUNS = 5


def look_up(path: Path, name: str) -> None:
    """In a fresh process: print seconds, busy seconds, resident kilobytes, and what was found."""
    start = time.perf_counter(), time.process_time()
    from explorer.session.debuginfo_files import scratch  # the import is part of what a person waits for
    from symbols.dwarf.debug_info import DebugInfo
    from symbols.dwarf.image import Image

    image = Image(_mapped(path), scratch)
    info = DebugInfo(image, "x86_64")
    (address, *_) = image.addresses_of(name)
    prototype, function = info.prototype(address, name), info.function(address)
    copies = info.copies_near(address, name)
    seconds = _since(*start)
    text = prototype.text if prototype else "no prototype"
    print(
        seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(copies), function and function.declared, text
    )


def index(path: Path) -> None:
    """In a fresh process: print seconds, busy seconds, resident kilobytes, copies, bytes of the index."""
    start = time.perf_counter(), time.process_time()
    from explorer.session.debuginfo_files import scratch
    from symbols.dwarf.image import Image
    from symbols.dwarf.inline_index import InlineIndex, build

    image = Image(_mapped(path), scratch)
    data = build(image, lambda done, total: image.forget_pages())
    seconds = _since(*start)
    made = InlineIndex(data, image.build_id)
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, made.copies, len(data))


def main(path: Path, names: tuple[str, ...]) -> None:
    """Print the table."""
    print(f"{path.stat().st_size / 1e6:,.0f} MB: {path}")
    for name in names:
        runs = [_fresh("look_up", path, name) for _ in range(RUNS)]
        seconds = [float(run[0]) for run in runs]
        memory = max(int(run[1]) for run in runs) / 1024
        least, median = min(seconds), statistics.median(seconds)
        print(f"{name:20} {least * 1000:5.0f} / {median * 1000:5.0f} ms  {memory:5.0f} MB  {' '.join(runs[0][2:])}")
    seconds_, memory_, copies, size = _fresh("index", path)
    print(
        f"index of all copies  {float(seconds_):5.1f} s  {int(memory_) / 1024:5.0f} MB  {copies} copies, {size} bytes"
    )


def _since(wall: float, cpu: float) -> str:
    return f"{time.perf_counter() - wall} {time.process_time() - cpu}"


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _fresh(what: str, *arguments: object) -> list[str]:
    command = [sys.executable, "-m", "tests.benchmarks.dwarf", f"--{what}", *map(str, arguments)]
    return subprocess.check_output(command, text=True).split()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--look_up":
        look_up(Path(sys.argv[2]), sys.argv[3])
    elif sys.argv[1] == "--index":
        index(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]), tuple(sys.argv[2:]) or NAMES)
