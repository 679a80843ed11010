"""What can be wrong with debug information."""

from __future__ import annotations

from symbols.errors import FactError


class DebugInfoError(FactError):
    """Debug information is absent, of another kernel, damaged, or written in a way that is not known here."""
