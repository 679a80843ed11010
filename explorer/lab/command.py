"""``kexplore lab [-- COMMAND ARGUMENT...]``: one command, or a shell, in a throwaway kernel."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable

from explorer.lab import terminal
from explorer.lab.errors import LabTimeLimitError
from explorer.lab.kernel_image import ALL_SERIES, SERIES_6_12
from explorer.lab.machine import Lab

TIME_LIMIT_EXIT_CODE = 124
"""The one of ``timeout(1)``."""

_DESCRIPTION = """\
Boot a throwaway kernel with kprobes in QEMU and run a command, or a shell, as root in it. It sees this machine's files,
read-only; /tmp, /var/tmp and /run can be written, and are forgotten at the end. The command's input, output and exit
code are passed through. The first time, the kernel (34 MB) is fetched with apt; it is not installed."""

_EPILOGUE = f"""\
Exit code: the command's own, 128 + N when signal N ended it, {TIME_LIMIT_EXIT_CODE} when its time was over, 126 or 127
when it could not be run; 1 when the lab failed, 3 when a package is missing and only root can install it."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "kexplore lab",
        usage="kexplore lab [OPTION...] [-- COMMAND ARGUMENT...]",
        description=_DESCRIPTION,
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--kernel", choices=ALL_SERIES, default=SERIES_6_12.name,
        help="Debian's series of kernels: 6.12 (the default), or 6.1, which knows less",
    )  # fmt: skip
    parser.add_argument("--bcc", action="store_true", help="with bcc and the kernel's headers: 70 MB more to fetch")
    parser.add_argument("--time-limit", type=_positive(float), metavar="S", help="seconds that the command may take")
    parser.add_argument("--memory", type=_positive(int), metavar="MB", default=2048, help="of the guest (2048)")
    parser.add_argument("--cpus", type=_positive(int), metavar="N", default=2, help="of the guest (2)")
    return parser


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        with contextlib.suppress(ValueError):
            if (value := kind(text)) > 0:
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is no number above zero")

    return parse


def run(arguments: list[str]) -> int:
    """Run ``kexplore lab`` with the arguments that follow ``lab``; returns its exit code.

    Raises:
        KexploreError: The lab cannot be had here, did not come up, or ended before the command.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = _parser().parse_args(arguments[:end])
    options.command = arguments[end + 1 :]
    return asyncio.run(_run_until_signal(options))


async def _run_until_signal(options: argparse.Namespace) -> int:
    """The signals that end a program end the lab in order."""
    received: list[signal.Signals] = []
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(_run(options))

    def end(number: signal.Signals) -> None:
        received.append(number)
        running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    try:
        return await running
    except asyncio.CancelledError:
        if not received:
            raise
        return 128 + received[0]
    except BrokenPipeError:  # our stdout's reader has gone, as in `kexplore lab -- ... | head`
        return 128 + signal.SIGPIPE
    except LabTimeLimitError as error:
        _say(error.message)
        return TIME_LIMIT_EXIT_CODE


async def _run(options: argparse.Namespace) -> int:
    interactive = os.isatty(0) and os.isatty(1)
    shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
    lab = await Lab.boot(
        options.command or [shell],
        progress=_say,
        output=terminal.write,
        terminal=terminal.size(0) if interactive else None,
        time_limit=options.time_limit,
        memory_mb=options.memory,
        cpus=options.cpus,
        series=ALL_SERIES[options.kernel],
        bcc=options.bcc,
    )
    async with lab:
        helping = [asyncio.create_task(_pass_input(lab))]
        with contextlib.ExitStack() as restored:
            if interactive:
                restored.enter_context(terminal.raw(0))
                resized = asyncio.Event()
                asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, resized.set)
                helping.append(asyncio.create_task(_pass_size(lab, resized)))
            try:
                return await lab.wait()
            finally:
                for task in helping:
                    task.cancel()
                await asyncio.wait(helping)


async def _pass_input(lab: Lab) -> None:
    while data := await terminal.read(0):
        await lab.send_input(data)
    await lab.send_input(b"")


async def _pass_size(lab: Lab, resized: asyncio.Event) -> None:
    while True:
        await resized.wait()
        resized.clear()
        await lab.resize(terminal.size(0))


def _say(text: str) -> None:
    print(f"kexplore lab: {text}", file=sys.stderr, flush=True)
