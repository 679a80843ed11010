"""The full-screen program: start the agent, give up privilege, then load the screen."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from explorer.commands.connection import narrate
from explorer.errors import ExitCode
from explorer.privilege import drop_to_caller
from explorer.session.recording import replay
from explorer.session.target import LabTarget, LocalTarget, Target
from explorer.terminal import check_terminal


def run(options: argparse.Namespace) -> int:
    """Run until the user quits; says on stderr what could not be removed."""
    check_terminal(os.environ, sys.stdin.isatty(), sys.stdout.isatty())
    local, lab = LocalTarget(), LabTarget()
    chosen: Target = replay(options.replay) if options.replay else lab if options.lab else local
    if chosen is local:
        local.start()
    drop_to_caller()
    from explorer.app import KexploreApp  # only now: the agent reads the kernel's names while Textual is imported

    app = KexploreApp(chosen, list(dict.fromkeys([chosen, local, lab])))
    asyncio.run(app.run_async())
    for thing in app.left_behind:
        narrate(f"could not remove {thing}; try: kexplore clean")
    return ExitCode.FAILED if app.left_behind else app.return_code or ExitCode.OK
