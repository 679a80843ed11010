"""The kernel's tracing files: definitions that everybody shares, and instances that are our own."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Dict, List, Optional, Tuple

from explorer.agent import tracefs_place

_BUFFER_KB = 1024
_BUFFERS_KB = 64 * 1024
"""All buffers of an instance together, on machines with many processors."""
_SMALLEST_BUFFER_KB = 128
_READ_SIZE = 64 * 1024


class Tracefs:
    """What all instances share.

    Args:
        root: The directory that the machine's file tree begins at.

    Raises:
        RequestError: tracefs is not mounted, or closed to us.
    """

    def __init__(self, root: str) -> None:
        path = tracefs_place.find(root)
        if path is None:
            raise tracefs_place.absent(root)
        self.path = path
        self._profile: Optional[Reread] = None
        dynamic = os.path.join(path, "dynamic_events")  # since 5.0
        self._definitions = dynamic if os.path.exists(dynamic) else os.path.join(path, "kprobe_events")

    def define(self, line: str) -> None:
        """Add a definition.

        Raises:
            OSError: The kernel refused it; ``complaint`` may know more.
        """
        # Without O_APPEND the kernel would delete everybody's events first.
        write(self._definitions, line + "\n", os.O_APPEND)

    def delete(self, group: str, event: str) -> None:
        """Delete one event, disabled everywhere.

        Raises:
            OSError: EBUSY where it is in use, ENOENT where it does not exist.
        """
        self.define(f"-:{group}/{event}")

    def definitions(self) -> List[str]:
        """Every dynamic event of everybody, a line each."""
        return read(self._definitions).splitlines()

    def events_of(self, group: str) -> List[str]:
        """The names of the events defined in a group."""
        return [event for owner, event in map(event_of, self.definitions()) if owner == group]

    def complaint(self, line: str) -> str:
        """What the kernel said last about a definition that it refused; "" when it said nothing."""
        try:
            log = read(os.path.join(self.path, "error_log"))  # since 5.2
        except OSError:
            return ""  # it would only have said more
        lines = log.splitlines()
        for index in range(len(lines) - 1, 0, -1):
            if lines[index] == f"  Command: {line}":
                return lines[index - 1].partition(" error: ")[2]
        return ""

    def profile(self) -> Dict[str, Tuple[int, int]]:
        """Hits and missed of every kprobe event, by its name alone: the file does not tell groups apart."""
        if self._profile is None:
            self._profile = Reread(os.path.join(self.path, "kprobe_profile"))
        counts: Dict[str, Tuple[int, int]] = {}
        for line in self._profile.text().splitlines():
            fields = line.split()
            if len(fields) == 3:
                counts[fields[0]] = (int(fields[1]), int(fields[2]))
        return counts

    def header_page(self) -> str:
        """The layout of a buffer's pages."""
        return read(os.path.join(self.path, "events/header_page"))

    def format(self, event: str) -> str:
        """How the records of ``GROUP/EVENT`` look."""
        return read(os.path.join(self.path, "events", event, "format"))

    def instances(self) -> List[str]:
        """The names of all instances."""
        directory = os.path.join(self.path, "instances")
        return sorted(os.listdir(directory)) if os.path.isdir(directory) else []

    def instance(self, name: str) -> Instance:
        """An instance, whether it exists or not."""
        return Instance(os.path.join(self.path, "instances", name))

    def remove_group(self, group: str) -> List[str]:
        """Disable and delete every event of a group, in whatever instance somebody enabled it.

        Returns:
            What is left, with the reason: events that a tool outside tracefs holds (perf).
        """
        if not self.events_of(group):
            return []
        # At once (since 6.0): a deletion by itself empties the buffers of all instances, which takes most of its time.
        # A kernel that does not know it refuses it, as one does whose events are in use.
        with contextlib.suppress(OSError):
            self.define(f"-:{group}/")
        left = []
        for event in self.events_of(group):
            try:
                try:
                    self.delete(group, event)
                except OSError:
                    self._disable_everywhere(group, event)
                    self.delete(group, event)
            except OSError as error:
                if error.errno != errno.ENOENT:  # somebody else has removed it meanwhile
                    left.append(f"{group}/{event}: {error.strerror}")
        return left

    def _disable_everywhere(self, group: str, event: str) -> None:
        enable = f"events/{group}/{event}/enable"
        for directory in (self.path, *(self.instance(name).path for name in self.instances())):
            path = os.path.join(directory, enable)
            if os.path.exists(path):
                write(path, "0")


class Instance:
    """A ring buffer of our own, with its own switches for every event."""

    def __init__(self, path: str) -> None:
        self.path = path

    def create(self, kilobytes: int = _BUFFER_KB) -> None:
        """Make it, with the clock that the rest of the world uses and waking at the first event.

        Args:
            kilobytes: Of each processor's buffer; less on machines with many.
        """
        os.mkdir(self.path)
        self.write("trace_clock", "mono")
        if os.path.exists(self._at("buffer_percent")):  # since 5.0; before, readers always woke at the first event
            self.write("buffer_percent", "0")
        kilobytes = max(_SMALLEST_BUFFER_KB, min(kilobytes, _BUFFERS_KB // len(self.cpus())))
        self.write("buffer_size_kb", str(kilobytes))

    def remove(self) -> None:
        """Remove it; the kernel disables its events.

        Raises:
            OSError: EBUSY while somebody has one of its pipes open.
        """
        os.rmdir(self.path)

    @property
    def exists(self) -> bool:
        """Whether it is there."""
        return os.path.isdir(self.path)

    def switches(self) -> Switches:
        """The switches of all its events; to be closed before it can be removed."""
        return Switches(self._at("set_event"))

    def format(self, event: str) -> str:
        """The description of the records of ``GROUP/EVENT``."""
        return read(self._at(f"events/{event}/format"))

    def cpus(self) -> List[int]:
        """Every processor that has a buffer, running or not."""
        names = os.listdir(self._at("per_cpu"))
        return sorted(int(name[len("cpu") :]) for name in names if name.startswith("cpu"))

    def pipe(self, cpu: int) -> int:
        """A descriptor of a processor's raw pages, non-blocking."""
        return os.open(self._at(f"per_cpu/cpu{cpu}/trace_pipe_raw"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def statistics(self, cpu: int) -> Reread:
        """The counters of a processor's buffer; to be closed before the instance can be removed."""
        return Reread(self._at(f"per_cpu/cpu{cpu}/stats"))

    def buffer_bytes(self) -> int:
        """The size of each processor's buffer."""
        return int(read(self._at("buffer_size_kb")).split()[0]) * 1024

    def write(self, name: str, text: str, flags: int = 0) -> None:
        """Write one of its files."""
        write(self._at(name), text, flags)

    def _at(self, name: str) -> str:
        return os.path.join(self.path, name)


class Switches:
    """An instance's ``set_event``: one open file for all events, where ``events/G/E/enable`` would be one for each."""

    def __init__(self, path: str) -> None:
        # Without O_APPEND the kernel would switch every event of the instance off first.
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def turn(self, event: str, on: bool) -> None:
        """Switch ``GROUP/EVENT`` on or off.

        Raises:
            OSError: The kernel could not.
        """
        os.write(self._descriptor, f"{'' if on else '!'}{event.replace('/', ':')}\n".encode())

    def close(self) -> None:
        """Let go of them; what is on stays on."""
        os.close(self._descriptor)


class Reread:
    """A file of the kernel that is read again and again: opening one costs more than reading it."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def text(self) -> str:
        """What it says now."""
        pieces: List[bytes] = []
        position = 0
        while True:
            piece = os.pread(self._descriptor, _READ_SIZE, position)
            if not piece:
                return b"".join(pieces).decode("utf-8", "surrogateescape")
            pieces.append(piece)
            position += len(piece)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def event_of(definition: str) -> Tuple[str, str]:
    """Group and event of a line of ``dynamic_events``."""
    head = definition.split(" ", 1)[0]
    group, _, event = head.partition(":")[2].partition("/")
    return group, event


def read(path: str) -> str:
    """The text of a file of the kernel."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def write(path: str, text: str, flags: int = 0) -> None:
    """Write to a file of the kernel, in one write."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags)
    try:
        data = text.encode()
        if os.write(descriptor, data) != len(data):
            raise OSError(errno.EIO, f"the kernel took a part only of what was written to {path}")
    finally:
        os.close(descriptor)
