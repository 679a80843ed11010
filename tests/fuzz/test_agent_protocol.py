"""Senseless requests to the agent over an invented file tree: it answers or ends, and writes nothing anywhere.

What they do to a real kernel, where probes are armed in earnest, ``tests/agent_fuzz.py`` asks in the lab.
"""

from __future__ import annotations

from pathlib import Path

from tests.agent_fuzz import converse
from tests.protocol_fuzz import Conversations

REQUESTS = 2000
TREE = {
    "proc/kallsyms": "ffffffff81000000 T _text\nffffffff81000010 T vfs_read\n",
    "proc/modules": "",
    "proc/cpuinfo": "processor: 0\n",
    "sys/kernel/tracing/README": "tracing mini-HOWTO:\n",
    "sys/kernel/tracing/dynamic_events": "",
    "sys/kernel/tracing/kprobe_events": "",
    "sys/kernel/tracing/kprobe_profile": "",
    "sys/kernel/tracing/available_tracers": "function nop\n",
    "sys/kernel/tracing/error_log": "",
    "sys/kernel/tracing/instances/somebody/set_event": "sched:sched_switch\n",
    "sys/kernel/debug/kprobes/list": "",
    "sys/kernel/debug/kprobes/enabled": "1\n",
    "etc/passwd": "root::0:0::/root:/bin/sh\n",
}
MOST_MEMORY = 100_000
"""KiB."""


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def test_it_answers_or_ends_and_changes_nothing(tmp_path: Path) -> None:
    for name, text in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    conversations = Conversations(seed=1)
    answered = most = 0
    while answered < REQUESTS:
        said, memory = converse(list(conversations.frames(400)), "--root", str(tmp_path))
        answered, most = answered + said, max(most, memory)
        assert contents(tmp_path) == TREE
    assert 0 < most < MOST_MEMORY
