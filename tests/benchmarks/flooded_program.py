"""The full-screen program over a played agent that floods it: batches as often, and with as many rows, as are allowed.

Run by ``tests.benchmarks.flood_screen --played``. SIGUSR1 begins the flood, SIGUSR2 ends it. The agent is played in the
same process, which costs the screen more than an agent beside it would.
"""

from __future__ import annotations

import asyncio
import signal

from explorer.agent.batches import TICK
from explorer.app import KexploreApp
from explorer.session.session import ROWS_OUTSTANDING
from tests.scripted_agent import ScriptedAgent, ScriptedTarget

FUNCTION = "vfs_read"


class FloodingAgent(ScriptedAgent):
    """An agent with one flooded probe."""

    def __init__(self) -> None:
        super().__init__()
        self._flood: asyncio.Task[None] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As any scripted agent, and at the signals."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._begin)
        loop.add_signal_handler(signal.SIGUSR2, self._end)
        await super().serve(reader, writer)

    def _begin(self) -> None:
        self._flood = asyncio.create_task(self._batches())

    def _end(self) -> None:
        if self._flood is not None:
            self._flood.cancel()

    async def _batches(self) -> None:
        while True:
            self.hit(FUNCTION, [1, 2, 3, 4], times=ROWS_OUTSTANDING)
            await asyncio.sleep(TICK)


def main() -> None:
    """Run it."""
    target = ScriptedTarget(FloodingAgent())
    KexploreApp(target, [target]).run()


if __name__ == "__main__":
    main()
