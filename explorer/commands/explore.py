"""The full-screen program: start the agent, give up privilege, then load the screen."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from explorer import garbage
from explorer.errors import ExitCode
from explorer.privilege import drop_to_caller
from explorer.session.local_agent import LocalAgent
from explorer.terminal import check_terminal

_FRAMES = "120"
"""Drawn in a second at most, if there is something to draw; a key waits for the next one."""


def run(options: argparse.Namespace) -> int:
    """Run until the user quits; says on stderr what could not be removed."""
    # Textual draws on stderr.
    check_terminal(os.environ, sys.stdin.isatty(), sys.stdout.isatty() and sys.stderr.isatty())
    agent = None if options.lab or options.replay or options.kernel else LocalAgent()
    drop_to_caller()
    return _show(options, agent)


def tune() -> None:
    """Set the interpreter up for keys that are answered at once; before Textual is imported."""
    sys.setswitchinterval(0.001)  # a key should not wait five milliseconds for each turn that a worker gives up
    garbage.hold_back()  # until the kernel is loaded
    os.environ.setdefault("TEXTUAL_FPS", _FRAMES)


def _show(options: argparse.Namespace, agent: LocalAgent | None) -> int:
    tune()
    # Only now: while these are imported, the agent reads the kernel's names.
    import asyncio

    from explorer.app import KexploreApp
    from explorer.commands.connection import deleting_text, narrate
    from explorer.session.recording import replay
    from explorer.session.snapshot_target import SnapshotTarget
    from explorer.session.target import LabTarget, LocalTarget, Target

    local, lab = LocalTarget(), LabTarget(bcc=options.engine == "bpf")
    if agent is not None:
        local.adopt(agent)
    chosen: Target = lab if options.lab else local
    if options.replay:
        chosen = replay(options.replay)
    elif options.kernel:
        chosen = SnapshotTarget(Path(options.kernel))
    if options.debuginfo:
        chosen.debuginfo = Path(options.debuginfo)
    app = KexploreApp(chosen, list(dict.fromkeys([chosen, local, lab])), options.time_limit, options.engine)
    asyncio.run(app.run_async())
    if app.deleting:
        narrate(deleting_text(app.deleting))
    for thing in app.left_behind:
        narrate(f"could not remove {thing}; try: kexplore clean")
    return ExitCode.FAILED if app.left_behind else app.return_code or ExitCode.OK
