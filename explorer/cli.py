"""The command line: which command is meant, and how it ends. The commands themselves are in ``explorer.commands``."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from explorer.errors import EXIT_CODES, ExitCode
from symbols.errors import KexploreError

if TYPE_CHECKING:
    from explorer.session.time_limit import TimeLimit

VERSION = "0.1.0"

_ON_SNAPSHOTS = frozenset(
    f"explorer.commands.{name}" for name in ("explore", "search", "show", "type", "trace", "doctor")
)

ENGINES = ("auto", "tracefs", "bpf")

EPILOG = """\
PROBE:  do_sys_openat2   do_sys_openat2%return   vfs_read+0x1f   0xffffffff812a5678   ext4:ext4_file_open
        several at once, told first:  'tcp_*'   'tcp_*%return'   'ext4:*_read*'   'takes:"struct bio *" is:ftrace'
Results go to stdout, everything else to stderr. Exit codes: 0 ok, 1 failed, 2 usage, 3 not permitted,
4 this kernel cannot, 130 interrupted; a traced COMMAND passes its own code through.
"""
TERMS = """\
QUERY: letters of a name, and terms, of which all must hold:
  takes:"struct bio *"  takes:bio  a parameter of exactly this type; of a type of this name behind any pointers
  returns:int  returns:errptr      so for what it returns; errptr: any pointer, it may hold an errno
  args:3  args:>6  args:<=2        the number of parameters
  is:probeable  is:refused         also: duplicate blacklisted notrace init stub unknown ftrace jump int3 variant
  mod:ext4  mod:nf_*               in a module
  tcp_*  *_show                    a pattern for the whole name, in place of letters
  -TERM                            the opposite
"""
_NEGATED_TERM = re.compile(r"-(?=[a-z]+:)")
"""What argparse would take for an option."""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    main = argparse.ArgumentParser(
        prog="kexplore",
        description="An interactive probe explorer for the Linux kernel. Without a COMMAND: the full-screen program.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    main.add_argument("--version", action="version", version=f"kexplore {VERSION}")
    main.add_argument(
        "--lab", action="store_true", help="on a throwaway kernel in QEMU instead of this machine's (any command)"
    )
    main.add_argument("--replay", metavar="FILE", help="play a recorded session back; no kernel is touched")
    main.add_argument(
        "--kernel", metavar="SNAPSHOT", help="look at a kernel that `kexplore snapshot` saved; nothing is armed there"
    )
    main.add_argument(
        "--debuginfo", metavar="PATH", help="where the kernel's debug information is: a vmlinux, or a directory with it"
    )
    main.add_argument(
        "--for", dest="time_limit", type=_time_limit, metavar="TIME",
        help="disarm everything after TIME (30s, 10m, 2h), whatever has become of this program by then",
    )  # fmt: skip
    main.add_argument(
        "--engine", choices=ENGINES, default="auto",
        help="what arms probes; auto: tracefs, and bpf for what only that can do",
    )  # fmt: skip
    main.set_defaults(command="explorer.commands.explore")
    commands = main.add_subparsers(title="commands", metavar="COMMAND")

    search = commands.add_parser(
        "search", help="find functions by a few letters, typos allowed, and by what they are", epilog=TERMS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    search.add_argument("query", metavar="QUERY", nargs="+")
    search.add_argument("--limit", type=_positive, default=20, metavar="N", help="at most N names (default 20)")
    search.set_defaults(command="explorer.commands.search")

    show = commands.add_parser(
        "show", help="a function's prototype, where its arguments live, whether it can be probed"
    )
    show.add_argument("symbol", metavar="SYMBOL")
    show.set_defaults(command="explorer.commands.show")

    disassemble = commands.add_parser("disassemble", help="a function's instructions, and which of them take a probe")
    disassemble.add_argument("symbol", metavar="SYMBOL", help="a function, or an address in it")
    disassemble.set_defaults(command="explorer.commands.disassemble")

    type_ = commands.add_parser("type", help="a struct, union, enum or typedef with offsets, sizes and holes")
    type_.add_argument("name", metavar="NAME", nargs="+", help="bio, struct bio, or MODULE:NAME")
    type_.set_defaults(command="explorer.commands.type")

    trace = commands.add_parser(
        "trace", help="arm probes and print each hit", usage="kexplore trace [options] PROBE... [-- COMMAND ARG...]",
        description="Arms probes and prints each hit, until Ctrl-C or a limit. With a COMMAND: runs it (its output "
        "goes to stderr), records only it and what it starts, and ends with its exit code.",
    )  # fmt: skip
    trace.add_argument("probes", metavar="PROBE", nargs="+")
    trace.add_argument(
        "--filter",
        metavar="EXPR",
        help="only hits for which this holds: 'count > 4096 && comm == \"cat\"', 'return < 0'",
    )
    trace.add_argument("--pid", type=_positive, metavar="P", help="only this process and what descends of it")
    trace.add_argument("--comm", metavar="NAME", help="only threads of this name")
    trace.add_argument("--duration", type=_seconds, metavar="S", help="end after S seconds")
    trace.add_argument("--count", type=_positive, metavar="N", help="end after N hits")
    trace.add_argument(
        "--max-rate", type=_natural, metavar="N",
        help="hits a second that each probe may have before it is sampled; 0: no guard (default: 2%% of a core in all)",
    )  # fmt: skip
    trace.add_argument("--yes", action="store_true", help="arm what patterns and queries mean without asking")
    trace.add_argument(
        "--maxactive", type=_positive, metavar="N",
        help="calls that each return probe can follow at once, up to 4096 (default: the kernel's, about 10)",
    )  # fmt: skip
    trace.add_argument("--force", action="store_true", help="also functions that are deadly hot, such as schedule")
    trace.add_argument(
        "--mechanism", choices=("auto", "kprobe", "fprobe"), default="auto",
        help="what a probe is for the kernel; auto: an fprobe where that loses nothing, and the summary says why",
    )  # fmt: skip
    trace.add_argument(
        "--stack", choices=("none", "kernel", "user", "both"), default="none",
        help="print the call stack below each hit (by the bpf engine)",
    )  # fmt: skip
    trace.set_defaults(command="explorer.commands.trace")

    count = commands.add_parser(
        "count", help="count calls of functions, hundreds at once, without an event for each",
        description="Counts calls until Ctrl-C or for a time: by ftrace's function tracer, at the least cost, or where "
        "it cannot (returns, offsets, functions without a call site of ftrace), by a probe that records nothing.",
    )  # fmt: skip
    count.add_argument("what", metavar="PATTERN|PROBE", nargs="+", help="as for trace: tcp_*, ext4:ext4_*_open")
    count.add_argument("--for", dest="seconds", type=_time, metavar="TIME", help="end after TIME (10s, 500ms, 2m)")
    count.add_argument(
        "--max-rate", type=_natural, metavar="N",
        help="calls a second above which a function is counted no more; 0: no guard (default: 2%% of a core in all)",
    )  # fmt: skip
    count.add_argument("--force", action="store_true", help="also functions that are deadly hot, such as schedule")
    count.set_defaults(command="explorer.commands.count")

    aggregate = commands.add_parser(
        "aggregate", help="count hits by a key, or the sizes of a value or of latencies, in the kernel (bpf)",
        usage="kexplore aggregate [options] PROBE... [-- COMMAND ARG...]",
        description="Counts in maps of the kernel, read once a second: a hit makes no event. PROBE%call measures how "
        "long calls take. Ends with Ctrl-C, after a time, or with the COMMAND.",
    )  # fmt: skip
    aggregate.add_argument("probes", metavar="PROBE", nargs="+")
    aggregate.add_argument("--by", default="", metavar="KEY", help="comm, pid, tid, cpu, or the name of an argument")
    aggregate.add_argument("--of", default="", metavar="VALUE", help="whose sizes: an argument, return, or latency")
    aggregate.add_argument("--filter", metavar="EXPR", help="as for trace; decided in the kernel or refused")
    aggregate.add_argument("--pid", type=_positive, metavar="P", help="only this process and what descends of it")
    aggregate.add_argument("--for", dest="seconds", type=_time, metavar="TIME", help="end after TIME (10s, 2m)")
    aggregate.add_argument("--top", type=_positive, default=20, metavar="N", help="print N keys at most (default 20)")
    aggregate.add_argument(
        "--max-rate", type=_natural, metavar="N",
        help="hits a second that each probe may have before it is sampled; 0: no guard (default: 2%% of a core in all)",
    )  # fmt: skip
    aggregate.add_argument("--force", action="store_true", help="also functions that are deadly hot, such as schedule")
    aggregate.set_defaults(command="explorer.commands.aggregate")

    doctor = commands.add_parser("doctor", help="what this kernel, terminal and installation allow, a fix a line")
    doctor.set_defaults(command="explorer.commands.doctor")

    cost = commands.add_parser(
        "cost", help="measure what a hit of each kind of probe costs on this machine; the guard reckons with it"
    )
    cost.set_defaults(command="explorer.commands.cost")

    clean = commands.add_parser("clean", help="remove what dead sessions left armed")
    clean.set_defaults(command="explorer.commands.clean")

    snapshot = commands.add_parser("snapshot", help="save what this kernel says of itself, for --kernel anywhere")
    snapshot.add_argument("file", metavar="FILE")
    snapshot.add_argument("--force", action="store_true", help="replace FILE if it exists")
    snapshot.add_argument(
        "--no-addresses", action="store_true", help="leave addresses out: they tell where this boot put the kernel"
    )
    snapshot.set_defaults(command="explorer.commands.snapshot")

    trace.add_argument(
        "--for", dest="time_limit", type=_time_limit, metavar="TIME", default=argparse.SUPPRESS,
        help="end after TIME (30s, 10m, 2h), kept where the probes are: also where this program hangs",
    )  # fmt: skip
    trace.add_argument(
        "--engine", choices=ENGINES, default=argparse.SUPPRESS, help="as kexplore --engine; the summary says why"
    )
    for command in (show, trace):
        command.add_argument("--debuginfo", metavar="PATH", default=argparse.SUPPRESS, help="as kexplore --debuginfo")
    for command in (search, show, disassemble, type_, trace, count, aggregate, cost, doctor):
        command.add_argument("--json", action="store_true", help="one JSON object a line")
    commands.add_parser("lab", help="run a command, or a shell, on the throwaway kernel", add_help=False)
    return main


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``kexplore``; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except KexploreError as error:
        print(f"kexplore: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)
        return EXIT_CODES[error.category]
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # `kexplore search x | head` ends quietly, as every filter does. The signal itself stays ignored: by default it
        # would also end the program, without a word, when the agent's end of a pipe is gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _run(words: list[str]) -> int:
    if words[:1] == ["lab"]:  # what follows belongs to the command that runs there
        from explorer.lab.command import run as run_lab

        return run_lab(words[1:])
    traced: list[str] | None = None
    if "--" in words:
        split = words.index("--")
        words, traced = words[:split], words[split + 1 :]
    options = parser().parse_args(["!" + word[1:] if _NEGATED_TERM.match(word) else word for word in words])
    options.traced = traced
    if traced is not None and options.command not in ("explorer.commands.trace", "explorer.commands.aggregate"):
        parser().error("only trace, aggregate and lab take a COMMAND after --")
    if options.replay and (options.lab or options.command != "explorer.commands.explore"):
        parser().error("--replay goes with the full-screen program alone")
    if options.kernel and (options.lab or options.replay or options.command not in _ON_SNAPSHOTS):
        parser().error("--kernel goes with the full-screen program, search, show, type, trace and doctor")
    if options.time_limit and options.command not in ("explorer.commands.explore", "explorer.commands.trace"):
        parser().error("--for goes with the full-screen program and with trace")
    if options.lab and options.command not in ("explorer.commands.explore", "explorer.commands.snapshot"):
        return _in_lab([word for word in words if word != "--lab"], traced, bcc=_by_bpf(options))
    command = importlib.import_module(options.command)
    code: int = command.run(options)
    return code


def _by_bpf(options: argparse.Namespace) -> bool:
    """Whether a command cannot do without the bpf engine."""
    by_name = options.engine == "bpf" or options.command == "explorer.commands.aggregate"
    return by_name or getattr(options, "stack", "none") != "none"


def _in_lab(words: list[str], traced: list[str] | None, *, bcc: bool) -> int:
    """Run the same command line inside the guest."""
    from explorer.lab.command import run as run_lab

    tail = ["--", *traced] if traced is not None else []
    return run_lab(
        [*(["--bcc"] if bcc else []), "--", os.path.abspath(sys.executable), "-m", "explorer.cli", *words, *tail]
    )


def _time_limit(text: str) -> TimeLimit:
    from explorer.session.time_limit import TimeLimit  # not for --help

    try:
        return TimeLimit.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _time(text: str) -> float:
    from explorer.session.time_limit import seconds_of

    try:
        return seconds_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _natural(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 1_000_000_000:
        raise argparse.ArgumentTypeError("must be 0 or more, up to a thousand million")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError("must be a positive number of seconds")
    return number


if __name__ == "__main__":
    sys.exit(main())
