"""Failures that a person can act on: the message says what happened, the hint says what to do."""

from __future__ import annotations

import enum


class Category(enum.Enum):
    """What sort of failure it is; the command line turns it into an exit code."""

    FAILED = "failed"
    USAGE = "usage"
    NOT_PERMITTED = "not permitted"
    KERNEL_CANNOT = "this kernel cannot"


class KexploreError(Exception):
    """Base of every error that kexplore raises on purpose.

    Attributes:
        message: One line, no full stop needed, naming the thing that failed.
        hint: What to do about it; empty when nothing is known to help.
        category: What sort of failure it is.
    """

    category = Category.FAILED

    def __init__(self, message: str, hint: str = "", category: Category | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if category is not None:
            self.category = category

    def __str__(self) -> str:
        return self.message


class FactError(KexploreError):
    """A list or file of the kernel is absent, unreadable or damaged."""


class BtfError(FactError):
    """BTF data is truncated, inconsistent or of a kind that this reader does not know."""


class UnknownSymbolError(KexploreError):
    """No symbol has this name; the nearest names are offered."""

    category = Category.FAILED

    def __init__(self, name: str, nearest: list[str]) -> None:
        hint = f"did you mean {', '.join(nearest)}?" if nearest else "try: kexplore search " + name
        super().__init__(f"no symbol named {name!r}", hint)
        self.nearest = nearest


class UnknownTypeError(KexploreError):
    """No struct, union, enum or typedef has this name; the nearest names are offered."""

    def __init__(self, name: str, nearest: list[str]) -> None:
        super().__init__(f"no type named {name!r}", f"did you mean {', '.join(nearest)}?" if nearest else "")
        self.nearest = nearest
