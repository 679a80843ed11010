"""The explorer's errors, and the exit codes of the command line."""

from __future__ import annotations

import enum

from symbols.errors import Category, KexploreError


class ExitCode(enum.IntEnum):
    """What the command line ends with; a contract with scripts."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_PERMITTED = 3
    KERNEL_CANNOT = 4
    INTERRUPTED = 130


EXIT_CODES = {
    Category.FAILED: ExitCode.FAILED,
    Category.USAGE: ExitCode.USAGE,
    Category.NOT_PERMITTED: ExitCode.NOT_PERMITTED,
    Category.KERNEL_CANNOT: ExitCode.KERNEL_CANNOT,
}


class UsageError(KexploreError):
    """What was asked for makes no sense as it was written."""

    category = Category.USAGE


class AgentError(KexploreError):
    """The agent refused a request, or is not there any more.

    Attributes:
        code: The protocol's word for the refusal (``explorer.agent.protocol.Code``), "" where there is none.
    """

    code = ""


class TargetLostError(AgentError):
    """The stream to the agent ended: it died, or its machine did."""
