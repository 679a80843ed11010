"""What Textual leaves to the garbage collector, and what it no longer does."""

import gc

import pytest
from rich.segment import Segment
from textual.strip import Strip

from explorer import textual_strips
from explorer.app import KexploreApp
from tests.scripted_agent import ScriptedAgent, ScriptedTarget

_CUTS = [3, 5]


def _garbage(cuts: list[int]) -> int:
    """How many objects only the collector frees after strips of five cells were cut."""
    gc.collect()
    for _ in range(10):
        Strip([Segment("abcde")]).divide(cuts)
    return gc.collect()


@pytest.fixture
def textuals_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Strip, "divide", textual_strips._divide)


@pytest.mark.usefixtures("textuals_own")
def test_textual_keeps_strips_in_their_own_caches() -> None:
    assert _garbage([5]), "no mend is needed any more: remove explorer/textual_strips.py"


@pytest.mark.usefixtures("textuals_own")
def test_the_program_does_not() -> None:
    KexploreApp(ScriptedTarget(ScriptedAgent()))
    assert not _garbage([5])
    assert not _garbage([5, 9])


@pytest.mark.usefixtures("textuals_own")
def test_cuts_are_the_same() -> None:
    before = [Strip([Segment("abcde")]).divide(cuts) for cuts in ([5], _CUTS, [5, 9], [], [9])]
    textual_strips.mend()
    assert [Strip([Segment("abcde")]).divide(cuts) for cuts in ([5], _CUTS, [5, 9], [], [9])] == before
