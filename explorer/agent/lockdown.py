"""Whether the kernel is locked down: Secure Boot's limits on what even root may do to it."""

from __future__ import annotations

from explorer.agent.facts import Facts
from explorer.agent.failure import RequestError


def lockdown_mode(root: str) -> str:
    """``integrity`` or ``confidentiality``; "" when the kernel is not locked down or does not say."""
    try:
        modes = Facts(root).text("lockdown")
    except RequestError:
        return ""  # no lockdown in this kernel, or securityfs is not mounted
    chosen = modes.partition("[")[2].partition("]")[0]
    return "" if chosen == "none" else chosen
