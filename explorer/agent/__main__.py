"""Starts the agent: ``PYTHON -I -S .../explorer/agent/__main__.py``, on its standard streams or on a virtio port."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys


def main() -> int:
    """Serve one session; the process's exit code."""
    # Started by path and isolated: nothing but this says where the project is.
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))))
    from explorer.agent.connection import Connection
    from explorer.agent.server import Server

    parser = argparse.ArgumentParser(prog="kexplore-agent", description="The part of kexplore that needs root.")
    parser.add_argument("--port", metavar="DEVICE", help="speak over this virtio-serial port, not the standard streams")
    parser.add_argument("--root", default="/", metavar="DIRECTORY", help="where the machine's file tree begins")
    arguments = parser.parse_args()
    # A session of its own: Ctrl-C on the explorer's terminal is the explorer's to handle.
    with contextlib.suppress(PermissionError):  # it leads a group already: whoever started it saw to that
        os.setsid()
    try:
        connection = Connection.over_port(arguments.port) if arguments.port else Connection(*_standard_streams())
    except OSError as error:
        print(f"kexplore-agent: {error}", file=sys.stderr)
        return 1
    return Server(connection, arguments.root, os.uname().machine).run()


def _standard_streams() -> tuple[int, int]:
    """Private copies of standard input and output.

    The numbers 0 to 2 then lead nowhere: a stray print would break the stream, or garble the explorer's screen.
    """
    source, sink = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)
    return source, sink


if __name__ == "__main__":
    sys.exit(main())
