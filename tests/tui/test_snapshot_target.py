"""The full-screen program on a snapshot: all there is to read, and a clear word where there is nothing to arm."""

from __future__ import annotations

from pathlib import Path

from explorer.session.session import Session
from explorer.session.snapshot_taking import take
from explorer.session.snapshot_target import SnapshotTarget
from tests.scripted_agent import ScriptedAgent, ScriptedTarget
from tests.tui.driving import SMALL, running


async def test_a_snapshot_is_browsed_and_nothing_is_armed(tmp_path: Path) -> None:
    path = tmp_path / "kernel.kxs"
    session = Session(ScriptedTarget(ScriptedAgent()))
    await session.open()
    path.write_bytes(b"".join((await take(session)).pieces()))
    await session.close()
    async with running(first=SnapshotTarget(path), size=SMALL) as driver:
        assert "snapshot kernel.kxs" in driver.text("#status")
        assert "6.12.0-test x86_64" in driver.text("#status")
        await driver.until_shown("taken 20", "#status")  # once nothing is loading any more there is room for it
        assert "look at the kernel of this machine" in driver.text("#events")
        await driver.type("vfs_read", "vfs_read")
        await driver.until_shown("can be probed by ftrace", "#card")
        assert "long *pos" in driver.text("#card")
        await driver.press("enter", "space")
        await driver.until_shown("nothing is armed on it")
        await driver.until_shown("t: look at another kernel")
        assert driver.app.session is not None
        assert driver.app.session.probes == {}
