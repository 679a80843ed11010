"""Times as users write them, and what is left of them."""

from __future__ import annotations

import pytest

from explorer.session.time_limit import TimeLimit


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("1.5h", 5400), ("0.5s", 0.5)])
def test_a_time_with_its_unit(text: str, seconds: float) -> None:
    assert seconds - 5 < TimeLimit.parse(text).left <= seconds


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "10M", "-1s", "1d", "1e3s", "٣m", "nan", "10m\n"])
def test_what_is_no_time_is_told_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="30s, 10m, 2h"):
        TimeLimit.parse(text)


@pytest.mark.parametrize("text", ["0s", "0.0m", "721h", "999999999h"])
def test_a_time_out_of_range(text: str) -> None:
    with pytest.raises(ValueError, match="up to 720h"):
        TimeLimit.parse(text)


def test_what_is_left_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)
    assert TimeLimit(1000 + 59.6, "1m").words == "1:00 left"
    assert TimeLimit(1000 + 9, "1m").words == "0:09 left"
    assert TimeLimit(1000 + 3 * 3600 + 62, "4h").words == "3:01:02 left"
    assert TimeLimit(990, "4h").words == "time is over (4h)"
