"""The one exception by which a request fails: a code for programs, a message and a hint for people."""

from __future__ import annotations

from explorer.agent.protocol import Code


class RequestError(Exception):
    """A request cannot be done; the session goes on.

    Attributes:
        code: What sort of failure it is.
        message: What happened, one line.
        hint: What to do about it; empty when nothing is known to help.
    """

    def __init__(self, code: Code, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
