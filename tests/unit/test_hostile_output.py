"""Names that processes choose, and others that nobody checked: a line of JSON stays one, a recording keeps what was.

The commands that are not here print names of functions and instructions only, and a list of symbols with such names is
refused (``test_kallsyms``). How they come out of the kernel, and as text: ``tests/lab/test_hostile_names.py``.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from explorer import cli
from explorer.commands import connection
from explorer.commands.trace import event_json
from explorer.session.probe_spec import ProbeSpec
from explorer.session.recording import Recorder, ReplayTarget
from explorer.session.session import Session
from tests.btf_builder import BtfBuilder
from tests.scripted_agent import AT_FDCWD, ScriptedAgent, ScriptedTarget

OPEN = "do_sys_openat2"
COMM = "\x1b[2J[b]\n\udcff\x07\"'%"
FILE = "/\x1b]0;owned\x07\n\r[red]\udcff\udcfe\u202e</script>$(reboot)\u2028"
OPENED: list[int | str | None] = [AT_FDCWD, 0x7FFE12345678, FILE, 0xFFFF888112340000]
EVIL = "\x1b[31mevil\n[/]"


def hostile_types() -> bytes:
    """Types whose names nobody checked: those of a module are whatever its author wrote."""
    types = BtfBuilder()
    long = types.integer("long", 8, True)
    how = types.pointer(types.struct("open_how", 24, [(EVIL, long, 0)]))
    string = types.pointer(types.const(types.integer("char", 1, True)))
    types.function(OPEN, long, [(EVIL, long), ("filename", string), ("how", how)])
    return types.build()


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> ScriptedAgent:
    agent = ScriptedAgent()
    monkeypatch.setattr(connection, "_target", lambda wanted, snapshot: ScriptedTarget(agent))
    return agent


@pytest.mark.parametrize(
    "words",
    [
        ["search", "opnat2"], ["show", OPEN], ["type", "open_how"], ["doctor"], ["trace", OPEN, "--count", "2"],
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_every_line_of_json_is_one_object_of_harmless_letters(
    words: list[str], agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.facts["btf:vmlinux"] = hostile_types()
    agent.leftovers = [f"kexplore_{EVIL}"]
    arm = Session.arm

    async def arm_and_hit(session: Session, spec: ProbeSpec, **options: object) -> object:
        probe = await arm(session, spec, **options)  # type: ignore[arg-type]
        agent.hit(OPEN, OPENED, comm=COMM, times=2)
        return probe

    monkeypatch.setattr(Session, "arm", arm_and_hit)
    assert cli.main([*words, "--json"]) == 0
    printed = capsys.readouterr().out
    assert all(letter == "\n" or " " <= letter <= "~" for letter in printed)
    objects = [json.loads(line) for line in printed.splitlines()]
    assert all(isinstance(each, dict) for each in objects)
    assert "evil" in printed or words[0] == "search"
    if words[0] == "trace":
        *events, _ = objects
        assert [(event["comm"], event["values"]["filename"]["text"]) for event in events] == [(COMM, FILE)] * 2


async def test_a_recording_gives_them_back_to_the_last_byte_and_shows_them_harmless(tmp_path: Path) -> None:
    agent, path = ScriptedAgent(), tmp_path / "session.kxr"
    for target in (Recorder(ScriptedTarget(agent), path), ReplayTarget(path)):
        session = Session(target)
        await session.open()
        await session.load()
        await session.arm(ProbeSpec(OPEN))
        if agent.armed:
            agent.hit(OPEN, OPENED, comm=COMM)
        async with asyncio.timeout(10):
            while not session.journal.last_number:
                await asyncio.sleep(0)
        event = session.journal[1]
        assert event.comm == COMM
        told = event_json(session, event)
        assert told["values"]["filename"]["text"] == FILE
        shown = [value.text for value in session.describe(event)]
        assert all(text.isprintable() and text.isascii() for text in shown)
        await session.close()
