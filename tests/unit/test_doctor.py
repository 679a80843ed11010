"""What the doctor says of the bpf engine, of each thing that an agent may have said."""

from __future__ import annotations

import pytest

from explorer.agent.protocol import Code, Message
from explorer.commands import doctor_engines
from explorer.commands.finding import Finding, Standing
from explorer.session.hello import Hello
from tests.scripted_agent import ScriptedAgent

CAN: Message = {"can": True, "cause": None, "hint": None}
NOT_INSTALLED: Message = {"can": False, "cause": "bcc is not installed", "hint": "sudo pacman -S python-bcc"}
NO_KPROBES: Message = {
    "can": False,
    "code": Code.KERNEL_CANNOT.value,
    "cause": "it has no kprobes",
    "hint": "",
}


@pytest.mark.parametrize(
    ("said", "finding"),
    [
        ({"bpf": CAN}, Finding("bpf engine", Standing.GOOD, "bcc and the kernel's headers are there")),
        ({"bpf": NOT_INSTALLED},
         Finding("bpf engine", Standing.LESS, "bcc is not installed", "sudo pacman -S python-bcc")),
        ({"bpf": NOT_INSTALLED, "probing": NO_KPROBES},
         Finding("bpf engine", Standing.BAD, "it needs probes, too")),
    ],
)  # fmt: skip
def test_the_bpf_engine(said: Message, finding: Finding) -> None:
    hello = Hello.from_message({**ScriptedAgent().hello(), **said})
    assert doctor_engines.bpf(hello) == finding


def test_a_recording_from_before_there_was_one() -> None:
    message = ScriptedAgent().hello()
    del message["bpf"]
    refusal = Hello.from_message(message).bpf_refusal()
    assert refusal is not None
    assert "did not say" in refusal.message
