"""Commands through the lab's relay, as if they were started here: over a terminal in place of a virtio port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import tty
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from explorer.agent import protocol
from explorer.session.command_relay import CommandRelay
from explorer.session.guest_commands import guest_command
from explorer.session.running_command import RunningCommand
from explorer.session.streams import streams_of
from explorer.session.target import LabTarget
from symbols.errors import KexploreError


@pytest.fixture
async def relay() -> AsyncIterator[CommandRelay]:
    ours, port = os.openpty()
    tty.setraw(port)
    guest = subprocess.Popen(guest_command(os.ttyname(port)))
    reader, writer = await streams_of(os.fdopen(os.dup(ours), "rb", 0), os.fdopen(ours, "wb", 0))
    relay = CommandRelay(reader, writer)
    try:
        yield relay
    finally:
        guest.kill()
        guest.wait()
        os.close(port)
        await relay.close()


async def all_of(command: RunningCommand) -> tuple[bytes, int | None]:
    """Its output and exit code, once nothing of it is left."""
    output, code = await asyncio.gather(command.output.read(), command.ended())
    await command.gone()
    return output, code


async def test_output_and_exit_code_pass_through_and_nothing_runs_before_the_gate_opens(
    relay: CommandRelay, tmp_path: Path
) -> None:
    proof = tmp_path / "ran"
    command = await relay.run(["sh", "-c", f"echo $$ | tee {proof}; echo wrong >&2; exit 7"])
    os.kill(command.pid, 0)
    assert not proof.exists()
    command.open_gate()
    assert await all_of(command) == (f"{command.pid}\nwrong\n".encode(), 7)


async def test_much_output_arrives_whole_and_what_outlives_the_command_is_awaited(relay: CommandRelay) -> None:
    command = await relay.run(["sh", "-c", "seq 200000; (sleep 0.5; echo late) & exit 3"])
    command.open_gate()
    assert await all_of(command) == (b"%b\nlate\n" % b"\n".join(b"%d" % n for n in range(1, 200_001)), 3)


async def test_signals_arrive_and_several_commands_are_told_apart(relay: CommandRelay) -> None:
    one, other = [await relay.run(["sh", "-c", "echo ready; exec sleep 60"]) for _ in range(2)]
    for command in (one, other):
        command.open_gate()
        assert await command.output.readline() == b"ready\n"
    other.send(signal.SIGTERM)
    assert await all_of(other) == (b"", 128 + signal.SIGTERM)
    one.send(signal.SIGKILL)
    assert await all_of(one) == (b"", 128 + signal.SIGKILL)


async def test_what_cannot_be_run_is_told_and_what_is_abandoned_never_runs(relay: CommandRelay, tmp_path: Path) -> None:
    command = await relay.run(["/nonexistent/program"])
    command.open_gate()
    output, code = await all_of(command)
    assert b"No such file" in output
    assert code == 127
    proof = tmp_path / "ran"
    abandoned = await relay.run(["touch", str(proof)])
    abandoned.abandon()
    await abandoned.gone()
    assert not proof.exists()


async def test_one_that_is_given_up_while_it_starts_disturbs_no_other(relay: CommandRelay) -> None:
    for argv in (["true\0"], ["x" * (1 << 20)]):
        with pytest.raises(KexploreError, match=r"null byte|too long"):
            await relay.run(argv)
    starting = asyncio.create_task(relay.run(["true"]))
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    command = await relay.run(["echo", "here"])
    command.open_gate()
    assert await all_of(command) == (b"here\n", 0)


async def test_a_lab_that_is_not_up_runs_nothing_and_says_so() -> None:
    with pytest.raises(KexploreError, match="the lab is not up"):
        await LabTarget().run(["true"])


async def test_when_the_guest_is_gone_so_are_its_commands() -> None:
    ours, theirs = socket.socketpair()
    relay = CommandRelay(*await asyncio.open_connection(sock=ours))
    starting = asyncio.create_task(relay.run(["sleep", "60"]))
    theirs.send(protocol.encode({"op": "started", "id": 1, "pid": 5}))
    command = await starting
    never = asyncio.create_task(relay.run(["true"]))
    await asyncio.sleep(0)
    theirs.close()
    assert await all_of(command) == (b"", None)
    for late in (never, relay.run(["true"])):
        with pytest.raises(KexploreError, match="the lab ended"):
            await late
    await relay.close()
