"""This machine through sudo: what is asked of sudo, and what is told when it refuses. sudo is a stand-in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from explorer.errors import AgentError
from explorer.session.local_agent import LocalAgent
from explorer.session.target import LocalTarget
from symbols.errors import Category

GOES_TO_THE_BACKGROUND = """\
#!/bin/sh
# As with use_pty: in the foreground, the terminal would be sudo's for as long as the command runs.
[ "$1 $2" = "-b --" ] || exit 1
shift 2
exec 3<&0
"$@" <&3 3<&- &
"""
REFUSES = "#!/bin/sh\nexit 1\n"


def stand_in(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sudo = directory / "sudo"
    sudo.write_text(script)
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


async def test_sudo_gives_the_terminal_back_and_the_agent_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, GOES_TO_THE_BACKGROUND, monkeypatch)
    target = LocalTarget(sudo=True)
    client = await target.connect(lambda message: None, lambda line: None)
    hello = await client.hello()
    assert hello.euid == os.geteuid()
    assert await client.close() == []
    await target.close()


async def test_a_refusal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, REFUSES, monkeypatch)
    target = LocalTarget(sudo=True)
    with pytest.raises(AgentError, match="sudo did not start the agent") as refused:
        await target.connect(lambda message: None, lambda line: None)
    assert refused.value.category is Category.NOT_PERMITTED
    await target.close()


@pytest.mark.parametrize(("sudo", "told"), [(False, True), (True, False)])
def test_where_bcc_is_steers_no_agent_with_more_rights_than_ours(
    sudo: bool, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, "#!/bin/sh\nexec cat\n", monkeypatch)
    monkeypatch.setenv("KEXPLORE_BCC", "/elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    agent = LocalAgent(sudo=sudo, ahead=())
    variables = Path(f"/proc/{agent.process.pid}/environ").read_bytes().split(b"\0")
    assert (b"KEXPLORE_BCC=/elsewhere" in variables) is told
    assert b"PYTHONPATH=/elsewhere" not in variables
    agent.process.communicate()
