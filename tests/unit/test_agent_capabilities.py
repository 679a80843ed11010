"""Whether a kernel can be probed, and the exact reason why not; each on a tree that lacks one thing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from explorer.agent import capabilities
from explorer.agent.failure import RequestError
from explorer.agent.protocol import Code

TRACING = "sys/kernel/tracing"


def put(root: Path, name: str, text: str = "") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine on which everything works."""
    put(tmp_path, f"boot/config-{os.uname().release}", "CONFIG_KPROBES=y\nCONFIG_FTRACE=y\nCONFIG_KPROBE_EVENTS=y\n")
    put(tmp_path, f"{TRACING}/README", "place: <symbol>%return\n type: symstr, hist:keys=\n")
    put(tmp_path, f"{TRACING}/kprobe_events")
    put(tmp_path, f"{TRACING}/available_tracers", "blk function_graph function nop\n")
    put(tmp_path, "sys/kernel/debug/kprobes/enabled", "1\n")
    put(tmp_path, "proc/sys/kernel/ftrace_enabled", "1\n")
    put(tmp_path, "sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
    return tmp_path


def refusal(root: Path) -> RequestError:
    with pytest.raises(RequestError) as caught:
        capabilities.require(str(root))
    return caught.value


def test_a_machine_that_can(root: Path) -> None:
    hello = capabilities.hello(str(root))
    assert hello["probing"] == {"can": True, "code": None, "cause": None, "hint": None}
    assert hello["tracefs"] == str(root / TRACING)
    features = hello["features"]
    assert (features["return_suffix"], features["symbol_text"], features["fprobe"]) == (True, True, False)
    assert features["function_tracer"]
    assert hello["leftovers"] == []


def test_whether_bcc_can_be_used_is_told(root: Path) -> None:
    put(root, "etc/os-release", "ID=arch\n")
    put(root, "proc/sys/kernel/unprivileged_bpf_disabled", "2\n")
    told = {"can": False, "cause": "bcc is not installed", "hint": "sudo pacman -S python-bcc linux-headers"}
    assert capabilities.hello(str(root))["bpf"] == told


def test_a_kernel_without_the_function_tracer(root: Path) -> None:
    put(root, f"{TRACING}/available_tracers", "blk nop\n")
    assert not capabilities.hello(str(root))["features"]["function_tracer"]


def test_leftovers_are_told(root: Path) -> None:
    put(root, f"{TRACING}/kprobe_events", "p:kexplore_99_5/kx99_1_f f comm=$comm\np:other/e f\n")
    (root / TRACING / "instances/kexplore_98_4").mkdir(parents=True)
    assert capabilities.hello(str(root))["leftovers"] == ["kexplore_98_4", "kexplore_99_5"]


def test_a_living_session_is_no_leftover(root: Path) -> None:
    put(root, "proc/99/stat", "99 (a) name) S " + " ".join(["0"] * 18) + " 5 0")
    put(root, f"{TRACING}/kprobe_events", "p:kexplore_99_5/kx99_1_f f comm=$comm\np:kexplore_99_6/e f\n")
    assert capabilities.hello(str(root))["leftovers"] == ["kexplore_99_6"]


@pytest.mark.parametrize("option", ["CONFIG_KPROBES", "CONFIG_FTRACE", "CONFIG_KPROBE_EVENTS"])
def test_an_option_that_is_off_is_named(root: Path, option: str) -> None:
    config = root / f"boot/config-{os.uname().release}"
    config.write_text(config.read_text().replace(f"{option}=y", f"# {option} is not set"))
    (root / TRACING / "kprobe_events").unlink()
    error = refusal(root)
    assert error.code is Code.KERNEL_CANNOT
    assert error.message == f"this kernel was built without {option}"


def test_tracefs_that_is_not_mounted(root: Path) -> None:
    for path in (root / TRACING).iterdir():
        path.unlink()
    error = refusal(root)
    assert error.message == "tracefs is not mounted"
    assert error.hint == "as root: mount -t tracefs tracefs /sys/kernel/tracing"


def test_the_old_mount_point_does(root: Path) -> None:
    (root / "sys/kernel/debug").mkdir(exist_ok=True)
    (root / TRACING).rename(root / "sys/kernel/debug/tracing")
    capabilities.require(str(root))


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ("sys/kernel/debug/kprobes/enabled", "kprobes are switched off"),
        ("proc/sys/kernel/ftrace_enabled", "ftrace is switched off"),
    ],
)
def test_a_switch_that_would_keep_probes_silent(root: Path, switch: str, words: str) -> None:
    put(root, switch, "0\n")
    error = refusal(root)
    assert error.code is Code.KERNEL_CANNOT
    assert words in error.message
    assert "as root: " in error.hint


@pytest.mark.parametrize(
    ("number", "lockdown", "words"),
    [
        (errno.EACCES, "[none]", "needs root"),
        (errno.EPERM, "none integrity [confidentiality]", "locked down (confidentiality)"),
        (errno.EPERM, "[none] integrity", "forbids probes to this process"),
    ],
)
def test_a_kernel_that_forbids(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, lockdown: str, words: str
) -> None:
    put(root, "sys/kernel/security/lockdown", lockdown)

    def refuse(path: str, flags: int) -> int:
        raise PermissionError(number, os.strerror(number), path)

    monkeypatch.setattr("explorer.agent.capabilities.os.open", refuse)
    monkeypatch.setattr("explorer.agent.capabilities.os.geteuid", lambda: 0)
    error = refusal(root)
    assert error.code is Code.NOT_PERMITTED
    assert words in error.message
