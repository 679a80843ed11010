"""The text of a list that the kernel prints, checked: whole lines of printable ASCII, or an error with the line."""

from __future__ import annotations

from symbols.errors import FactError

_CLEAN = bytes(range(0x20, 0x7F)) + b"\n\t"


def decode(data: bytes, what: str) -> str:
    """The list as text; it ends in a line feed unless it is empty.

    Args:
        data: The file.
        what: Its name, for messages.

    Raises:
        FactError: It holds other bytes, or breaks off inside a line.
    """
    if data.translate(None, _CLEAN):
        number, line = next((n, x) for n, x in enumerate(data.split(b"\n"), 1) if x.translate(None, _CLEAN))
        raise damaged(what, number, line.decode("ascii", "backslashreplace"))
    if data and not data.endswith(b"\n"):
        lines = data.count(b"\n") + 1
        raise FactError(f"{what} breaks off in line {lines}", "read the list again")
    return data.decode("ascii")


def damaged(what: str, number: int, line: str) -> FactError:
    """The error of a line that cannot be understood."""
    return FactError(f"line {number} of {what} is not understood: {line[:60]!r}", "read the list again")
