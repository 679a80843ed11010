"""What the guest does with its command, tried on this machine: no part of it needs a lab's kernel."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys

import pytest

from explorer.lab.guest import frames
from explorer.lab.guest.frames import HEADER, GuestChannel, HostGoneError

# In a process of its own: it buries every child that it finds.
ATTEND = """
import json, sys
from explorer.lab.guest import frames, streams
channel = frames.GuestChannel(int(sys.argv[1]))
deaths = streams.watch_deaths()
command = streams.Command(*json.loads(sys.argv[2]))
channel.send(frames.EXIT, bytes([streams.attend(command, channel, deaths)]))
"""


class Attended:
    """A command that is attended as in the guest, and the host's end of its channel."""

    def __init__(self, *arguments: str, cwd: str = "/", terminal: tuple[int, int] | None = None) -> None:
        self.host, guest = socket.socketpair()
        self.host.settimeout(60)
        with guest:
            self.process = subprocess.Popen(
                [sys.executable, "-c", ATTEND, str(guest.fileno()), json.dumps([arguments, cwd, {"K": "v"}, terminal])],
                pass_fds=[guest.fileno()],
            )
        self.stream = self.host.makefile("rb")

    def send(self, kind: int, data: bytes = b"") -> None:
        self.host.sendall(HEADER.pack(kind, len(data)) + data)

    def frame(self) -> tuple[int, bytes]:
        kind, length = HEADER.unpack(self.stream.read(HEADER.size))
        return kind, self.stream.read(length)

    def output_until(self, text: bytes) -> bytes:
        output = b""
        while text not in output:
            kind, data = self.frame()
            assert kind == frames.STDOUT, (kind, data, output)
            output += data
        return output

    def end(self) -> tuple[bytes, bytes, int]:
        """All of stdout and stderr, and the exit code."""
        output = {frames.STDOUT: b"", frames.STDERR: b""}
        while True:
            kind, data = self.frame()
            if kind == frames.EXIT:
                self.stream.close()
                self.host.close()
                assert self.process.wait(20) == 0
                return output[frames.STDOUT], output[frames.STDERR], data[0]
            output[kind] += data


def test_streams_are_separate_and_the_exit_code_is_passed() -> None:
    assert Attended("sh", "-c", "echo out; echo err >&2; exit 9").end() == (b"out\n", b"err\n", 9)


def test_the_environment_is_only_what_was_given() -> None:
    output, _, _ = Attended("/usr/bin/env").end()
    assert output == b"K=v\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_is_an_exit_code_as_in_a_shell(number: signal.Signals) -> None:
    assert Attended("sh", "-c", f"kill -{number.value} $$").end()[2] == 128 + number


def test_a_broken_pipe_ends_the_command_as_anywhere() -> None:
    output, error, _ = Attended("bash", "-c", 'yes | head -n 1; echo "${PIPESTATUS[0]}"').end()
    assert (output, error) == (b"y\n141\n", b"")


def test_more_input_than_a_pipe_holds_arrives_whole() -> None:
    sent = bytes(range(256)) * 4096
    attended = Attended("cat")
    received = b""
    for start in range(0, len(sent), 65536):
        attended.send(frames.INPUT, sent[start : start + 65536])
        while len(received) < start:  # read meanwhile, or both sides would wait for ever
            received += attended.frame()[1]
    attended.send(frames.INPUT)
    output, _, code = attended.end()
    assert received + output == sent
    assert code == 0


def test_input_that_nobody_reads_holds_nothing_up() -> None:
    attended = Attended("sh", "-c", "exec <&-; echo closed; read -r line || exit 4")
    attended.output_until(b"closed\n")
    attended.send(frames.INPUT, b"x" * 1000)
    assert attended.end()[2] == 4


def test_a_daemon_that_keeps_the_pipes_does_not_keep_the_lab() -> None:
    attended = Attended("sh", "-c", "sleep 1000 & echo $!")
    output, _, code = attended.end()
    subprocess.run(["kill", output.strip()], check=True)
    assert code == 0


def test_a_program_that_is_not_there() -> None:
    _, error, code = Attended("/no/such/program").end()
    assert (error, code) == (b"kexplore lab: /no/such/program: not found in the lab\n", 127)


def test_a_program_that_cannot_be_run() -> None:
    _, error, code = Attended("/etc/passwd").end()
    assert (error, code) == (b"kexplore lab: /etc/passwd: Permission denied\n", 126)


def test_a_directory_that_is_not_there() -> None:
    _, error, code = Attended("true", cwd="/no/such/directory").end()
    assert (error, code) == (b"kexplore lab: /no/such/directory: not found in the lab\n", 127)


def test_a_terminal_has_a_size_and_job_control() -> None:
    # exec: a shell that is between two commands may lose an interrupt.
    script = "stty size; trap 'stty size; exec cat' WINCH; echo ready; read -r line"
    attended = Attended("sh", "-c", script, terminal=(31, 97))
    assert attended.output_until(b"ready\r\n") == b"31 97\r\nready\r\n"
    attended.send(frames.RESIZE, b"[40, 90]")
    attended.output_until(b"40 90\r\n")
    attended.send(frames.INPUT, b"x\r")
    attended.output_until(b"x\r\nx\r\n")  # the echo of the terminal, and cat's
    attended.send(frames.INPUT, b"\x03")  # Ctrl-C: the terminal makes a signal of it
    assert attended.end()[2] == 128 + signal.SIGINT


def test_the_host_is_told_apart_from_silence() -> None:
    host, guest = socket.socketpair()
    with guest:
        host.sendall(HEADER.pack(frames.INPUT, 3) + b"ab")
        channel = GuestChannel(guest.fileno())
        assert channel.receive() == []
        host.sendall(b"c" + HEADER.pack(frames.INPUT, 0))
        assert channel.receive() == [(frames.INPUT, b"abc"), (frames.INPUT, b"")]
        host.close()
        with pytest.raises(HostGoneError):
            channel.receive()
