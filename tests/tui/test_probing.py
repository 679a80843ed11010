"""Arming, watching, pausing, inspecting, being refused."""

from __future__ import annotations

from explorer.agent.protocol import Code
from explorer.screens.inspector import InspectorScreen
from explorer.session.probe import ProbeState
from explorer.widgets.event_pane import Flow
from explorer.widgets.register_table import RegisterTable
from tests.scripted_agent import AT_FDCWD, REGISTERS, ScriptedAgent
from tests.tui.driving import SMALL, running

OPEN = "do_sys_openat2"
PATH = 0x7FFE12345678


async def test_armed_probe_is_listed_and_its_calls_stream_by() -> None:
    agent = ScriptedAgent()
    async with running(agent, size=SMALL) as driver:
        assert "Nothing is armed" in driver.text("#events")
        await driver.arm(agent, OPEN)
        await driver.until_shown("Armed, not hit yet", "#events")
        assert driver.text("#functions").startswith("→")
        agent.hit(OPEN, [AT_FDCWD, PATH, "/etc/passwd", 0], pid=4321)
        await driver.until_shown('dfd=AT_FDCWD filename="/etc/passwd"', "#events")
        assert "cat:4321" in driver.text("#events")
        await driver.press("4")
        await driver.until_shown("hits", "#probes")
        assert OPEN in driver.text("#probes")


async def test_return_probe_names_the_error() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, OPEN, "return")
        agent.hit(OPEN, [-2], kind="return")
        agent.hit(OPEN, [3], kind="return")
        await driver.until_shown("return=3", "#events")
        assert f"←{OPEN}" in driver.text("#events")
        assert "return=-ENOENT" in driver.text("#events")


async def test_space_again_disarms_and_the_events_stay() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, OPEN)
        agent.hit(OPEN, [AT_FDCWD, PATH, "/a", 0])
        agent.count(OPEN, hits=7, missed=2, not_shown=5)
        await driver.until_shown("5 not shown · 2 missed", "#events")
        await driver.press("space")
        await driver.until(lambda: not agent.armed)
        await driver.until_shown("no probe is armed", "#probes")
        assert '"/a"' in driver.text("#events")
        assert "5 not shown · 2 missed" in driver.text("#events")


async def test_probe_list_disarms_one_and_all() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, OPEN)
        await driver.arm(agent, "vfs_read")
        await driver.arm(agent, "vfs_write")
        await driver.press("4", "g", "j", "d")
        await driver.until(lambda: [probe["symbol"] for probe in agent.armed.values()] == [OPEN, "vfs_write"])
        await driver.press("D")
        await driver.until(lambda: not agent.armed)


async def test_pause_freezes_the_pane_and_counts_on() -> None:
    agent = ScriptedAgent()
    async with running(agent, size=SMALL) as driver:
        await driver.arm(agent, OPEN)
        agent.hit(OPEN, [AT_FDCWD, PATH, "/first", 0])
        await driver.until_shown("/first", "#events")
        await driver.press("5", "p")
        agent.hit(OPEN, [AT_FDCWD, PATH, "/second", 0], times=1234)
        await driver.until_shown("PAUSED +1,234 new", "#events")
        assert "/second" not in driver.text("#events")
        await driver.press("p")
        await driver.until_shown("/second", "#events")
        assert driver.browse.events.flow is Flow.FOLLOWING


async def test_a_paused_pane_stays_with_its_events_while_others_are_forgotten() -> None:
    agent = ScriptedAgent()
    async with running(agent, size=SMALL) as driver:
        await driver.arm(agent, OPEN)
        assert driver.app.session is not None
        journal = driver.app.session.journal
        for number in range(4):
            agent.hit(OPEN, [AT_FDCWD, PATH, f"/{number}", 0], times=5000)
        await driver.until(lambda: driver.browse.events.row_count == 20_000 and '"/3"' in driver.text("#events"))
        await driver.press("5", "p")
        await driver.until(lambda: driver.browse.events.flow is Flow.PAUSED)
        shown = driver.text("#events").splitlines()[1:]
        for forgotten in (3000, 6000):
            agent.hit(OPEN, [AT_FDCWD, PATH, "/late", 0], times=3000)
            await driver.until(lambda: journal.dropped == forgotten)  # noqa: B023 - called here only
            await driver.until(lambda: driver.browse.events.row_count == 20_000 - forgotten)  # noqa: B023
            assert driver.text("#events").splitlines()[1:] == shown


async def test_scrolling_back_stays_while_events_come_and_following_returns() -> None:
    agent = ScriptedAgent()
    async with running(agent, size=SMALL) as driver:
        await driver.arm(agent, OPEN)
        for number in range(40):
            agent.hit(OPEN, [AT_FDCWD, PATH, f"/{number}", 0])
        await driver.until_shown('"/39"', "#events")
        await driver.press("5", "pageup", "pageup")
        shown = driver.browse.events.selected
        assert shown is not None
        assert "scrolled back" in driver.text("#events")
        agent.hit(OPEN, [AT_FDCWD, PATH, "/late", 0], times=30)
        await driver.until(lambda: driver.browse.events.row_count == 70)
        assert driver.browse.events.selected is shown
        assert "/late" not in driver.text("#events")
        await driver.press("f")
        await driver.until_shown("/late", "#events")


async def test_forgotten_events_do_not_move_the_view() -> None:
    agent = ScriptedAgent()
    async with running(agent, size=SMALL) as driver:
        await driver.arm(agent, OPEN)
        session = driver.app.session
        assert session is not None
        agent.hit(OPEN, [AT_FDCWD, PATH, "/old", 0], times=20_000)
        await driver.until(lambda: driver.browse.events.row_count == 20_000)
        await driver.press("5", "k", "k")
        shown = driver.browse.events.selected
        agent.hit(OPEN, [AT_FDCWD, PATH, "/new", 0], times=500)
        await driver.until(lambda: session.journal.dropped == 500 and driver.browse.events._first == 501)
        assert driver.browse.events.selected is shown


async def test_inspector_shows_every_register_and_what_it_carries() -> None:
    agent = ScriptedAgent()
    async with running(agent, size=SMALL) as driver:
        await driver.arm(agent, OPEN)
        registers = {"di": 0xFFFFFF9C, "si": PATH, "sp": 0xFFFFC90000123E00}
        agent.hit(OPEN, [AT_FDCWD, PATH, "/etc/passwd", 0], registers=registers)
        agent.hit(OPEN, [5, PATH, "/other", 0], registers={"di": 5})
        await driver.until_shown("/other", "#events")
        await driver.press("5", "k", "enter")
        await driver.until(lambda: isinstance(driver.app.screen, InspectorScreen))
        await driver.until_shown("/etc/passwd", "#registers")
        lines = driver.text("#registers").splitlines()
        assert [line.split()[0] for line in lines[1:22]] == REGISTERS
        row = {line.split()[0]: line for line in lines}
        assert row["di"].split(maxsplit=3)[1:3] == ["+0x70", "0x00000000ffffff9c"]
        assert "dfd = AT_FDCWD" in row["di"]
        assert 'filename = "/etc/passwd"' in row["si"]
        assert "unsure" in row["cs"]
        assert "unsure" not in row["ax"]
        await driver.press("n")
        await driver.until_shown("/other", "#registers")
        await driver.press("escape")
        await driver.until(lambda: driver.app.screen is driver.browse)
        selected = driver.browse.events.selected
        assert selected is not None
        assert selected.number == 2


async def test_inspector_copies_the_registers() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, OPEN)
        agent.hit(OPEN, [AT_FDCWD, PATH, "/etc/passwd", 0], registers={"si": PATH})
        await driver.until_shown("/etc/passwd", "#events")
        await driver.press("5", "enter")
        await driver.until(lambda: isinstance(driver.app.screen, InspectorScreen))
        await driver.until(lambda: driver.app.screen.query_one(RegisterTable).row_count > len(REGISTERS))
        await driver.press("y")
        assert "si       +0x68  0x00007ffe12345678 user pointer  filename=" in driver.app.clipboard


async def test_refusal_shows_the_cause_and_the_hint() -> None:
    agent = ScriptedAgent()
    agent.refusals["tcp_sendmsg"] = (Code.REFUSED, "tcp_sendmsg is on the blacklist", "probe what calls it")
    async with running(agent) as driver:
        await driver.type("tcp_sendmsg", "tcp_sendmsg")
        await driver.press("enter", "space")
        await driver.until_shown("probe what calls it")
        await driver.until_shown("entry probe refused: tcp_sendmsg is on the blacklist", "#card")
        await driver.until_shown("refused: tcp_sendmsg is on the blacklist", "#probes")
        await driver.until(lambda: driver.text("#functions").startswith("!"))
        session = driver.app.session
        assert session is not None
        assert [probe.state for probe in session.probes.values()] == [ProbeState.FAILED]
        await driver.press("4", "d")
        await driver.until_shown("no probe is armed", "#probes")


async def test_hits_that_are_only_counted_do_not_look_like_silence() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, OPEN)
        agent.count(OPEN, hits=1500, not_shown=1500)
        await driver.until_shown("1,500 hits were counted, none is shown: 1,500 not shown", "#events")


async def test_hostile_strings_are_text() -> None:
    agent = ScriptedAgent()
    async with running(agent, size=(160, 40)) as driver:
        await driver.arm(agent, OPEN)
        agent.hit(OPEN, [AT_FDCWD, PATH, "[bold]\x1b[2J\n[/]\udcff", 0], comm="a[red]\x1b]0;x\x07")
        await driver.until_shown(r"[bold]\x1b[2J\n[/]\xff", "#events")
        assert r"a[red]\x1b]" in driver.text("#events")
        await driver.press("5", "enter")
        await driver.until(lambda: isinstance(driver.app.screen, InspectorScreen))
        await driver.until_shown(r"[bold]\x1b[2J\n[/]\xff", "#registers")
        assert "\x1b" not in driver.screen()


async def test_fault_is_told_from_an_empty_string() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, OPEN)
        agent.hit(OPEN, [AT_FDCWD, PATH, None, 0])
        agent.hit(OPEN, [AT_FDCWD, PATH, "", 0])
        await driver.until_shown('filename=""', "#events")
        assert "filename=(fault) user:0x7ffe12345678" in driver.text("#events")


async def test_copying_takes_the_prototype_the_probe_and_the_event() -> None:
    agent = ScriptedAgent()
    async with running(agent) as driver:
        await driver.arm(agent, OPEN, "return")
        await driver.press("y")
        assert driver.app.clipboard == f"long {OPEN}(int dfd, const char *filename, struct open_how *how)"
        await driver.press("4", "y")
        assert driver.app.clipboard == f"{OPEN}%return"
        agent.hit(OPEN, [-13], kind="return")
        await driver.until_shown("-EACCES", "#events")
        await driver.press("5", "y")
        assert driver.app.clipboard.endswith(f"cat:154 {OPEN}%return return=-EACCES")
