"""From exec to the first rows, to prototypes, to the answer of a key, and what it all weighs, on this machine's kernel.

Prints the least and the median of several runs of the real program in a pseudo terminal of 120x40, beside what cannot
be avoided: an interpreter that imports Textual, and the kernel writing its list of symbols.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from pathlib import Path

RUNS = 7
QUERY = "opnat2"
FIRST_NAMES = (b"srso_", b"_text", b"startup_64", b"entry_SYSCALL")
PATIENCE = 180.0
_KEXPLORE = str(Path(sys.executable).with_name("kexplore"))


class Program:
    """The program in a pseudo terminal, its output so far, and when each word first appeared."""

    def __init__(self, *arguments: str, program: Sequence[str] = (_KEXPLORE,)) -> None:
        parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [*program, *arguments], stdin=child, stderr=child, stdout=child,
            env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(child)
        self._terminal = parent
        self.output = bytearray()

    def read(self, patience: float) -> bool:
        """Take what is there; False when nothing came in time."""
        if not select.select([self._terminal], [], [], patience)[0]:
            return False
        self.output += os.read(self._terminal, 1 << 16)
        return True

    def until(self, *words: bytes) -> float:
        """Seconds from exec until one of the words is on the screen."""
        while not any(word in self.output for word in words):
            if not self.read(PATIENCE):
                raise TimeoutError(f"{words} never appeared: {bytes(self.output[-500:])!r}")
        return time.perf_counter() - self.started

    def settle(self) -> None:
        """Wait until nothing more is drawn: the search index is the last thing that loads."""
        while self.read(0.5):
            pass

    def answer(self, key: str) -> float:
        """Seconds from a key until the last byte of what it changed."""
        del self.output[:]
        start = end = time.perf_counter()
        os.write(self._terminal, key.encode())
        while self.read(0.15):
            end = time.perf_counter()
        return end - start

    def type(self, keys: str) -> None:
        """Send keys; what was written before them is forgotten."""
        del self.output[:]
        os.write(self._terminal, keys.encode())

    def effect(self, key: str, text: bytes) -> float:
        """Seconds from a key until this text is written."""
        start = time.perf_counter()
        self.type(key)
        self.until(text)
        return time.perf_counter() - start

    def take(self, seconds: float) -> None:
        """Read whatever is written in so long."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.read(left)

    def quit(self) -> None:
        """End it as a user would."""
        os.write(self._terminal, b"\x03")
        with contextlib.suppress(OSError):  # EIO: the terminal's other end is closed
            while self.read(PATIENCE):
                pass
        self.process.wait(PATIENCE)
        os.close(self._terminal)


def memory_of(process: int) -> float:
    """Resident memory in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def seconds(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def row(what: str, values: list[float], unit: str = "ms", scale: float = 1000) -> None:
    print(f"{what:<52}{min(values) * scale:8.0f}{statistics.median(values) * scale:8.0f} {unit}")


def main() -> None:
    """Measure and print."""
    python, kexplore = sys.executable, _KEXPLORE
    rows, prototypes, keys, weights, of_snapshot = [], [], [], [], []
    snapshot = Path(tempfile.mkdtemp(), "kernel.kxs")
    seconds(kexplore, "snapshot", str(snapshot))
    for _ in range(RUNS):
        program = Program()
        rows.append(program.until(*FIRST_NAMES))
        prototypes.append(program.until(b"BTF"))
        program.settle()
        keys += [program.answer(letter) for letter in QUERY]
        weights.append(memory_of(program.process.pid))
        program.quit()
        program = Program("--kernel", str(snapshot))
        of_snapshot.append(program.until(*FIRST_NAMES))
        program.settle()
        program.quit()
    print(f"{'a snapshot':<52}{snapshot.stat().st_size / 1e6:8.1f} MB")
    shutil.rmtree(snapshot.parent)
    print(f"{'':52}{'least':>8}{'median':>8}")
    row("rows on the screen after exec", rows)
    row("rows of a snapshot on the screen after exec", of_snapshot)
    row("a prototype on the screen after exec", prototypes)
    row("a key's last byte on the screen", keys)
    row("kexplore --help", [seconds(kexplore, "--help") for _ in range(RUNS)])
    row("resident memory of the explorer", weights, "MB", 1)
    row(
        "unavoidable: python -c 'import textual.app'",
        [seconds(python, "-c", "import textual.app") for _ in range(RUNS)],
    )
    row("unavoidable: cat /proc/kallsyms", [seconds("cat", "/proc/kallsyms") for _ in range(RUNS)])


if __name__ == "__main__":
    main()
