"""What screens ask of a session's probes: awaited beside the screen, refusals told, what is deadly hot asked about."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from textual.screen import Screen

from explorer.screens.confirm import ConfirmScreen
from explorer.session import hot_functions
from explorer.session.probe_spec import ProbeSpec
from explorer.session.session import Session
from symbols.errors import KexploreError

Request = Coroutine[object, object, object]


class ProbeRequests:
    """The requests of one screen.

    Args:
        screen: Where what was refused is told.
    """

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen

    def make(self, request: Request) -> None:
        """Await a request without holding up the screen; tell why it was refused."""

        async def awaited() -> None:
            try:
                await request
            except KexploreError as error:
                self.refused(error)

        self._screen.run_worker(awaited(), group="probes")

    def arm(self, session: Session, specs: Sequence[ProbeSpec], request: Callable[[], Request]) -> None:
        """Make a request that arms or disarms probes; where one is on a deadly hot function, ask first."""
        try:
            question = hot_functions.question(session, [spec for spec in specs if spec not in session.probes])
        except KexploreError as error:
            self.refused(error)
            return
        if question:
            confirm = ConfirmScreen(question, "arm it")
            self._screen.app.push_screen(confirm, lambda yes: self.make(request()) if yes else None)
        else:
            self.make(request())

    def refused(self, error: KexploreError) -> None:
        """Tell why something was not done."""
        self._screen.notify(error.hint or " ", title=error.message, severity="error", markup=False, timeout=8)
