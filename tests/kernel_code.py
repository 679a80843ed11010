"""Code for a function of the scripted agent's kernel."""

from __future__ import annotations

from tests.scripted_agent import ScriptedAgent, address

READ = "vfs_read"
SIZE = 0x100


def at(name: str, offset: int) -> int:
    """An address inside a function."""
    return address(name) + offset


def _call(offset: int, target: int) -> bytes:
    return b"\xe8" + (target - (at(READ, offset) + 5)).to_bytes(4, "little", signed=True)


# endbr64; nop (ftrace); push %rbx; mov 0x20(%rdi),%rax; call schedule; je +0x1a; call tcp_sendmsg+0x10; pop; ret; ud2
CODE = (
    bytes.fromhex("f30f1efa 0f1f440000 53 488b4720")
    + _call(0x0E, address("schedule"))
    + bytes.fromhex("7405")
    + _call(0x15, at("tcp_sendmsg", 0x10))
    + bytes.fromhex("5bc3 0f0b")
)
CODE += b"\xcc" * (SIZE - len(CODE))


def with_code(agent: ScriptedAgent, code: bytes = CODE) -> ScriptedAgent:
    """An agent whose ``vfs_read`` has this code, and no probe of anybody in it."""
    agent.facts[f"text:{address(READ):#x}:{SIZE}"] = code
    agent.facts.setdefault("kprobes", b"")
    return agent
