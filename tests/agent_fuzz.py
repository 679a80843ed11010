"""Requests that are right, wrong and senseless to agents on a real kernel: none may leave anything behind.

kexplore lab -- .venv/bin/python -m tests.agent_fuzz --requests 10000
"""

from __future__ import annotations

import argparse
import os
import select
import subprocess
import sys
from pathlib import Path

from explorer.agent import protocol
from tests.agent_driver import AGENT, PATIENCE
from tests.lab.tracing_state import TRACEFS, tracing_state
from tests.protocol_fuzz import Conversations

_MOST_MEMORY = 200_000
"""KiB that an agent may need, whatever it is asked."""


def converse(frames: list[bytes], *options: str) -> tuple[int, int]:
    """Say all of it to one agent, which may end before; how many requests it answered, and its memory (KiB)."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", str(AGENT), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    source, sink = process.stdout.fileno(), process.stdin.fileno()
    os.set_blocking(sink, False)
    decoder, answers, memory, sent = protocol.Decoder(1 << 24, 1 << 24), 0, 0, 0
    pending = b""
    while True:
        if not pending and sent < len(frames):
            pending, sent = frames[sent], sent + 1
        if not pending and sent == len(frames) and not process.stdin.closed:
            process.stdin.close()
        writing = [] if process.stdin.closed else [sink]
        readable, writable, _ = select.select([source], writing, [], PATIENCE)
        assert readable or writable, "the agent hangs"
        if writable:
            try:
                pending = pending[os.write(sink, pending) :]
            except BlockingIOError:
                pass
            except BrokenPipeError:
                process.stdin.close()
        if readable:
            memory = max(memory, high_water(process.pid))
            data = os.read(source, 1 << 20)
            if not data:
                break
            for message, _ in decoder.feed(data):
                answers += "id" in message and message.get("last", True)
                if message["op"] == "problem":
                    assert not message["message"].startswith("the agent failed"), message["message"]
    if not process.stdin.closed:
        process.stdin.close()
    assert process.wait(PATIENCE) in (0, 1)
    process.stdout.close()
    return answers, memory


def high_water(process: int) -> int:
    """KiB that a process has had in memory at most."""
    status = Path(f"/proc/{process}/status").read_text()
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def run(seed: int, requests: int) -> str:
    """Ask so many; agents that end are followed by new ones. What was done, in words.

    Raises:
        AssertionError: Something is left, or an agent hangs or needs too much memory.
    """
    before = tracing_state()
    conversations = Conversations(seed)
    agents = most = answered = 0
    while answered < requests:
        said, memory = converse(list(conversations.frames(400)))
        agents, answered, most = agents + 1, answered + said, max(most, memory)
        assert tracing_state() == before, f"agent {agents}, after {answered} answers"
    assert not (TRACEFS / "dynamic_events").read_text()
    assert most < _MOST_MEMORY
    return f"{answered} requests answered by {agents} agents, {most} KiB at most"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--requests", type=int, default=10_000)
    options = parser.parse_args()
    print(run(options.seed, options.requests))


if __name__ == "__main__":
    main()
