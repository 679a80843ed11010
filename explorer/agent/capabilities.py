"""What this kernel allows: whether it can be probed at all, if not exactly why not, and what its probe syntax takes."""

from __future__ import annotations

import errno
import os
import sys
from typing import Dict, List, Optional

from explorer.agent import bcc_package, protocol, tracefs_place
from explorer.agent.cleanup import leftovers
from explorer.agent.facts import Facts
from explorer.agent.failure import RequestError
from explorer.agent.lockdown import lockdown_mode
from explorer.agent.probe_definition import REGISTERS
from explorer.agent.protocol import Code, Message
from explorer.agent.tracefs import Tracefs, read

_NEEDED_OPTIONS = ("CONFIG_KPROBES", "CONFIG_FTRACE", "CONFIG_KPROBE_EVENTS")

# Files that switch probes off for the whole machine: the kernel then accepts a probe in silence and never fires it.
_SWITCHES = (
    ("sys/kernel/debug/kprobes/enabled", "kprobes are switched off on this machine",
     "as root: echo 1 > /sys/kernel/debug/kprobes/enabled"),
    ("proc/sys/kernel/ftrace_enabled", "ftrace is switched off on this machine",
     "as root: sysctl kernel.ftrace_enabled=1"),
)  # fmt: skip

# Words of tracing/README that tell of a feature. Versions do not tell: distributions port features back.
_FEATURES = {
    "ustring": "ustring",
    "symbol_text": "symstr",
    "dentry_path": "%pd/%pD",
    "argument_numbers": "$arg<N>",
    "btf_arguments": "<argname>",
    "return_suffix": "%return",
    "fprobe": "f[:[",
    "hist_triggers": "hist:keys",
}


def hello(root: str) -> Message:
    """The agent's first message."""
    refusal = why_not(root)
    left: List[str] = []
    features = dict.fromkeys((*_FEATURES, "function_tracer"), False)
    place = tracefs_place.find(root)
    if refusal is None and place is not None:
        readme = read(os.path.join(place, "README"))
        features = {name: word in readme for name, word in _FEATURES.items()}
        features["function_tracer"] = "function" in read(os.path.join(place, "available_tracers")).split()
        left = leftovers(Tracefs(root), root)
    machine = os.uname().machine
    no_bpf = bcc_package.why_not(root)
    return {
        "op": "hello",
        "version": protocol.VERSION,
        "pid": os.getpid(),
        "euid": os.geteuid(),
        "python": sys.version.split()[0],
        "kernel": _kernel(root),
        "probing": {
            "can": refusal is None,
            "code": refusal.code.value if refusal else None,
            "cause": refusal.message if refusal else None,
            "hint": refusal.hint if refusal else None,
        },
        "bpf": {
            "can": no_bpf is None,
            "cause": no_bpf.message if no_bpf else None,
            "hint": no_bpf.hint if no_bpf else None,
        },
        "tracefs": place,
        "features": features,
        "registers": list(REGISTERS.get(machine, ())),
        "leftovers": left,
    }


def require(root: str) -> None:
    """Make sure that what is armed now will fire.

    Raises:
        RequestError: It would not, with the cause.
    """
    refusal = why_not(root)
    if refusal is not None:
        raise refusal


def require_switched_on(root: str) -> None:
    """Make sure that nobody has switched all probes of this machine off.

    Raises:
        RequestError: Somebody has: what is armed keeps silent.
    """
    refusal = _switched_off(root)
    if refusal is not None:
        raise refusal


def why_not(root: str) -> Optional[RequestError]:
    """Why nothing can be probed here; None when probes can be armed."""
    place = tracefs_place.find(root)
    if place is not None:
        definitions = os.path.join(place, "kprobe_events")
        try:
            os.close(os.open(definitions, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC))
        except FileNotFoundError:
            return _missing_option(root) or _lacks("CONFIG_KPROBE_EVENTS")
        except PermissionError as error:
            return _forbidden(root, error)
        return _switched_off(root) or _unknown_byte_order()
    missing = _missing_option(root)  # said first: root would not help
    if missing is None and os.geteuid() != 0:
        return RequestError(Code.NOT_PERMITTED, "arming probes needs root", "run kexplore with sudo")
    return missing or tracefs_place.absent(root)


def _forbidden(root: str, error: PermissionError) -> RequestError:
    if error.errno == errno.EACCES or os.geteuid() != 0:
        return RequestError(Code.NOT_PERMITTED, "arming probes needs root", "run kexplore with sudo")
    mode = lockdown_mode(root)
    if mode:
        return RequestError(
            Code.NOT_PERMITTED, f"this kernel is locked down ({mode}): it forbids tracing",
            "lockdown comes with Secure Boot or the kernel option lockdown=, and cannot be lifted while it runs",
        )  # fmt: skip
    return RequestError(Code.NOT_PERMITTED, "the kernel forbids probes to this process", "is this a container?")


def _switched_off(root: str) -> Optional[RequestError]:
    for name, cause, hint in _SWITCHES:
        try:
            state = read(os.path.join(root, name)).strip()
        except OSError:
            continue  # debugfs is not mounted, or locked down: then nobody has switched it
        if state == "0":
            return RequestError(Code.KERNEL_CANNOT, cause, hint)
    return None


def _unknown_byte_order() -> Optional[RequestError]:
    if sys.byteorder == "little":
        return None
    return RequestError(Code.KERNEL_CANNOT, "kexplore cannot read trace buffers of big-endian machines")


def _missing_option(root: str) -> Optional[RequestError]:
    options = _options(root)
    for option in _NEEDED_OPTIONS:
        if options and options.get(option) != "y":
            return _lacks(option)
    return None


def _lacks(option: str) -> RequestError:
    return RequestError(
        Code.KERNEL_CANNOT, f"this kernel was built without {option}",
        "kexplore --lab explores a throwaway kernel that has it",
    )  # fmt: skip


def _options(root: str) -> Dict[str, str]:
    """The kernel's build options; empty when they are not known."""
    try:
        text = Facts(root).text("config")
    except RequestError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if line.startswith("CONFIG_"))
    return {name: value for name, _, value in pairs}


def _kernel(root: str) -> Message:
    uname = os.uname()
    try:
        boot_id = read(os.path.join(root, "proc/sys/kernel/random/boot_id")).strip()
    except FileNotFoundError:
        boot_id = ""
    return {
        "release": uname.release, "version": uname.version, "machine": uname.machine, "hostname": uname.nodename,
        "cpus": os.cpu_count(), "boot_id": boot_id,
    }  # fmt: skip
