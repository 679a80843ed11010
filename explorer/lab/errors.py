"""What can go wrong with the lab, each with the console's last words where they help."""

from __future__ import annotations

from symbols.errors import Category, KexploreError


class LabError(KexploreError):
    """The lab could not be prepared or booted, or its kernel ended before its command did.

    Attributes:
        console: The last lines of the guest's console and of QEMU; empty when nothing was booted.
    """

    def __init__(self, message: str, hint: str = "", category: Category | None = None, console: str = "") -> None:
        super().__init__(message, hint, category)
        self.console = console


class LabTimeLimitError(LabError):
    """The command was still running when its time was over."""
